//! Superblocks that are written for the first time.

use std::path::Path;

use super::look::{absolute, shown, Seen};
use super::{Context, Refusal};
use crate::remap_core::bytes::Text;
use crate::remap_core::layout::{Layout, LayoutError};
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::superblock::{Extension, Features, Superblock, ENTRY_BYTES};
use crate::remap_core::units::{ArrayUuid, BlockSize, Sectors, Sequence};

/// What stands for a UUID that is not known.
const NO_UUID: &[u8] = b"00000000-0000-0000-0000-000000000000";

/// A UUID for a new array (version 4, as RFC 9562 lays it out).
pub fn new_array(context: &Context) -> Result<ArrayUuid, Refusal> {
    let mut random = [0; 16];
    context.platform.random(&mut random)?;
    let uuid = uuid::Builder::from_random_bytes(random).into_uuid();
    Ok(ArrayUuid::new(*uuid.as_bytes()))
}

/// The layout of a spare of so many sectors.
pub fn layout(path: &Path, size: Sectors, block_size: BlockSize) -> Result<Layout, Refusal> {
    Layout::for_spare(size, block_size).map_err(|error| {
        let advice = match error {
            LayoutError::TooSmall { needs, .. } => format!(
                "Name a device of at least {needs} sectors ({} bytes).",
                needs.bytes().unwrap_or(u64::MAX)
            ),
            _ => "Name another device.".to_owned(),
        };
        Refusal::new(
            "spare-size",
            format!("{} cannot be the spare: {error}.", shown(path)),
            advice,
        )
    })
}

/// A path as a hint in the metadata: absolute where that can be known. It stays empty
/// where the field is too short, since half a path would name another device.
pub fn path_hint(path: &Path) -> Text<128> {
    use std::os::unix::ffi::OsStrExt as _;
    Text::new(absolute(path).as_os_str().as_bytes()).unwrap_or_default()
}

/// A checked name, as a region header holds it.
pub fn name_field(name: &str) -> Result<Text<NAME_LIMIT>, Refusal> {
    let bad = |why: String| {
        Refusal::new(
            "invalid-name",
            format!(
                "{} cannot name a device: {why}.",
                crate::text::escape_str(name)
            ),
            "Use letters, digits and # + - . : = @ _, at most 127 of them.",
        )
    };
    crate::inspect::check_name(name.as_bytes()).map_err(|error| bad(error.to_string()))?;
    Text::new(name.as_bytes()).map_err(|error| bad(error.to_string()))
}

/// The remap unit for main and spare: what was asked, if neither has larger blocks,
/// else the larger of their blocks.
pub fn block_size(
    main: &Seen,
    spare: &Seen,
    asked: Option<BlockSize>,
) -> Result<BlockSize, Refusal> {
    let least = main
        .inspection
        .logical_block
        .max(spare.inspection.logical_block);
    match asked {
        Some(asked) if asked < least => Err(Refusal::new(
            "block-size",
            format!(
                "A remap unit of {asked} bytes is smaller than the disks' blocks of {least} bytes."
            ),
            format!("Use --block-size {least}, or none: then it is chosen."),
        )),
        Some(asked) => Ok(asked),
        None => Ok(least),
    }
}

/// The first superblock of a new array.
pub fn superblock(
    context: &Context,
    main: &Seen,
    spare: &Seen,
    layout: Layout,
) -> Result<Superblock, Refusal> {
    let (main, spare) = (&main.inspection, &spare.inspection);
    Ok(Superblock {
        // The write of the copies puts in the sequence that is due.
        sequence: Sequence::default(),
        timestamp: context.platform.now(),
        main_uuid: Text::new(NO_UUID).unwrap_or_default(),
        spare_uuid: Text::new(NO_UUID).unwrap_or_default(),
        main_sectors: main.size,
        spare_sectors: spare.size,
        sector_size: spare.logical_block,
        entry_size: ENTRY_BYTES,
        capacity: capacity(&layout),
        main_path: path_hint(&main.path),
        spare_path: path_hint(&spare.path),
        extension: Some(Extension {
            features: Features::default(),
            array_uuid: new_array(context)?,
            main_epoch: 0,
            main_identity: main.identity_as_main(),
            spare_identity: spare.identity,
            needs_check: false,
            layout,
        }),
    })
}

/// How many remaps the table of this layout can hold, as far as the field reaches.
pub fn capacity(layout: &Layout) -> u32 {
    u32::try_from(layout.replacement_blocks.get()).unwrap_or(u32::MAX)
}
