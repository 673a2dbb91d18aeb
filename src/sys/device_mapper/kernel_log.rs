//! What the kernel logs about a request: device-mapper's errors are a number alone, and
//! their reason stands in the log.

use crate::port::device_mapper::MODULE;
use crate::sys::kernel_log::{parse, KernelLogFile};

/// The kernel's log from some moment on.
pub(super) struct KernelLog {
    file: Option<KernelLogFile>,
}

impl KernelLog {
    /// The log from now on. One that cannot be read says nothing.
    pub(super) fn from_now() -> Self {
        Self {
            file: KernelLogFile::open_at_end().ok(),
        }
    }

    /// What was logged since then about mapped devices or our target.
    pub(super) fn reasons(&mut self) -> Option<String> {
        let mut reasons: Vec<String> = Vec::new();
        let file = self.file.as_mut()?;
        // What was read before it failed may tell the reason.
        let _ = file.read_raw(|record| reasons.extend(reason(record)));
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// What a record says, if it is about mapped devices or our target.
fn reason(record: &[u8]) -> Option<String> {
    let text = parse(record)?.text;
    let of_module = text
        .strip_prefix(MODULE)
        .map(|text| text.trim_start_matches(':'));
    let about = of_module.or_else(|| text.strip_prefix("device-mapper:"))?;
    Some(about.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_from_other_records() {
        let records = [
            (
                "3,811,4711,-;device-mapper: table: 253:0: dm-remap-v4: Main cannot be opened (-ENXIO)\n",
                Some("table: 253:0: dm-remap-v4: Main cannot be opened (-ENXIO)"),
            ),
            (
                "4,812,4712,-;dm_remap_v4: 8:16: no metadata here\n SUBSYSTEM=x\n",
                Some("8:16: no metadata here"),
            ),
            ("6,813,4713,-;sd 0:0:0:0: [sda] Attached\n", None),
            ("nothing", None),
            ("", None),
        ];
        for (record, expected) in records {
            let expected = expected.map(ToOwned::to_owned);
            assert_eq!(reason(record.as_bytes()), expected, "{record:?}");
        }
    }
}
