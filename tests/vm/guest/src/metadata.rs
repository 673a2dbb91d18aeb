//! What lies on a spare besides replacement blocks: taken from one, judged, and put back.

use crate::block::{Buffer, Device, SECTOR};
use crate::disk::Disk;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::quorum::{judge, Judgement, Reading, Survey, Verdict};
use crate::remap_core::remap_table::RegionHeader;
use crate::remap_core::signature;
use crate::remap_core::units::{BlockSize, PerSlot, Sectors, Slot, BLOCK_4K_BYTES};

/// The slots, both regions and the first replacement blocks of a spare, as they were
/// when this was taken.
pub struct Metadata {
    /// Where things lie.
    pub layout: Layout,
    parts: Vec<(u64, Buffer)>,
}

impl Metadata {
    /// Takes them from a spare whose remap unit is `unit`.
    pub fn of(spare: &Disk, unit: BlockSize) -> Self {
        let device = Device::open(spare.path());
        let size = Sectors::new(device.sectors());
        let layout = Layout::for_spare(size, unit).expect("the spare is large enough");
        let region = layout.region_sectors().get();
        let slots = Slot::ALL.map(|slot| (slot.sector().get(), 8));
        let others = [
            (layout.region_a.get(), region),
            (layout.region_b.get(), region),
            (layout.replacement.get(), 64),
        ];
        let places = slots.into_iter().chain(others);
        let parts = places.map(|(at, count)| {
            let mut buffer = Buffer::sectors(count);
            device.read(at, &mut buffer).expect("the spare reads");
            (at, buffer)
        });
        Self {
            layout,
            parts: parts.collect(),
        }
    }

    /// Puts them onto a spare of the same size.
    pub fn restore(&self, spare: &Disk) {
        let device = Device::open(spare.path());
        for (at, buffer) in &self.parts {
            device.write(*at, buffer).expect("the spare takes writes");
        }
    }
}

/// What the shared rules make of what lies in the slots of a spare.
pub fn judgement(spare: &Disk) -> Judgement {
    judge(&survey(&Device::open(spare.path())))
}

fn survey(device: &Device) -> Survey {
    let mut block = Buffer::sectors(8);
    let slots = PerSlot::from_fn(|slot| {
        device
            .read(slot.sector().get(), &mut block)
            .expect("the spare reads");
        let bytes: &[u8; BLOCK_4K_BYTES] = block.bytes().try_into().expect("4 KiB");
        Reading::Read {
            raw: *bytes.first_chunk().expect("a copy is shorter"),
            signature: signature::detect(bytes),
        }
    });
    let mut survey = Survey {
        slots,
        header: false,
    };
    if judge(&survey).verdict == Verdict::None {
        survey.header = has_header(device);
    }
    survey
}

fn has_header(device: &Device) -> bool {
    let mut block = Buffer::sectors(8);
    Layout::header_candidates(Sectors::new(device.sectors())).any(|(region, at)| {
        device.read(at.get(), &mut block).expect("the spare reads");
        is_header(&block, region, at.get())
    })
}

fn is_header(block: &Buffer, region: Region, at: u64) -> bool {
    let bytes = block.bytes().try_into().expect("4 KiB");
    let header = RegionHeader::read(bytes, region).ok();
    let layout = header.and_then(|header| header.superblock.layout().copied());
    layout.is_some_and(|layout| layout.region_start(region).get() == at)
}

/// The sectors of all slots, to be told whether anything was written there.
pub fn slots(spare: &Disk) -> Vec<u8> {
    let device = Device::open(spare.path());
    let mut all = Vec::new();
    for slot in Slot::ALL {
        let mut block = Buffer::sectors(8);
        device
            .read(slot.sector().get(), &mut block)
            .expect("the spare reads");
        all.extend_from_slice(&block.bytes()[..SECTOR]);
    }
    all
}
