//! Power cuts: every state in which a workload could have left its disks.

use std::collections::BTreeMap;

use crate::block::{Buffer, Device, SECTOR};
use crate::disk::{Disk, Shape, MIB};
use crate::dm::{Line, Mapped};
use crate::log_writes::{Event, Logged};
use crate::remap_core::units::{Sector, Sectors};

/// Sectors that hold something, by their address.
#[derive(Clone, Default)]
struct Image(BTreeMap<u64, [u8; SECTOR]>);

impl Image {
    /// What is on a disk now.
    fn of(disk: &Disk) -> Self {
        const STEP: u64 = 256;
        let device = Device::open_read_only(disk.path());
        let mut image = Self::default();
        let mut buffer = Buffer::sectors(STEP);
        for at in (0..device.sectors()).step_by(STEP as usize) {
            device.read(at, &mut buffer).expect("the disk can be read");
            if !buffer.is_zero() {
                image.put(Sector::new(at), buffer.bytes());
            }
        }
        image
    }

    fn put(&mut self, at: Sector, data: &[u8]) {
        for (sector, bytes) in (at.get()..).zip(data.chunks_exact(SECTOR)) {
            self.0.insert(sector, bytes.try_into().unwrap());
        }
    }

    /// Writes it to a disk of zeros.
    fn write(&self, disk: &Disk) {
        const LONGEST: usize = 1024;
        let device = Device::open(disk.path());
        let mut run: Vec<&[u8; SECTOR]> = Vec::new();
        let mut from = 0;
        let put = |from: u64, run: &mut Vec<&[u8; SECTOR]>| {
            let mut buffer = Buffer::sectors(run.len() as u64);
            for (to, bytes) in buffer
                .bytes_mut()
                .chunks_exact_mut(SECTOR)
                .zip(run.drain(..))
            {
                to.copy_from_slice(bytes);
            }
            device.write(from, &buffer).expect("a new disk takes it");
        };
        for (sector, bytes) in &self.0 {
            if run.len() == LONGEST || *sector != from + run.len() as u64 {
                put(from, &mut run);
                from = *sector;
            }
            run.push(bytes);
        }
        put(from, &mut run);
    }
}

/// Main and spare as two parts of one disk, so that one log orders what both are told.
pub struct Pair {
    /// The first part.
    pub main: Mapped,
    /// The rest.
    pub spare: Mapped,
}

impl Pair {
    /// Parts the device at `path`: `main` sectors, and as many as `spare` after them.
    pub fn of(path: &std::path::Path, main: Sectors, spare: Sectors) -> Self {
        let part = |name: &str, from: u64, length: Sectors| {
            let line = Line {
                start: 0,
                length: length.get(),
                target: "linear",
                words: format!("{} {from}", path.display()),
            };
            Mapped::create(name, &[line]).expect("a part comes up")
        };
        Self {
            main: part("main", 0, main),
            spare: part("spare", main.get(), spare),
        }
    }

    /// Takes both parts down.
    pub fn remove(self) {
        for part in [self.main, self.spare] {
            part.remove().expect("nobody uses a part");
        }
    }
}

/// One state after a power cut.
pub struct State<'a> {
    /// Main and spare as they were left.
    pub pair: Pair,
    /// The marks that the workload had left, in order.
    pub marks: &'a [String],
    /// Which state it is, to be told where a check fails.
    pub name: String,
}

/// A workload on main and spare, logged.
pub struct Recording {
    before: Image,
    events: Vec<Event>,
    main: Sectors,
    spare: Sectors,
}

impl Recording {
    /// Runs `workload` on a pair whose parts are prepared by `prepare` first; what is
    /// marked through the log counts as promised from then on.
    pub fn of(
        main: Sectors,
        spare: Sectors,
        prepare: impl FnOnce(&Pair),
        workload: impl FnOnce(&Pair, &Logged),
    ) -> Self {
        let disk = Disk::new(&Shape {
            mib: mib(main, spare),
            cached: true,
            ..Shape::default()
        });
        let pair = Pair::of(disk.path(), main, spare);
        prepare(&pair);
        pair.remove();
        let before = Image::of(&disk);
        let logged = Logged::new(&disk, Sectors::new(64 * MIB));
        let pair = Pair::of(&logged.path(), main, spare);
        workload(&pair, &logged);
        pair.remove();
        Self {
            before,
            events: logged.finish(),
            main,
            spare,
        }
    }

    /// Shows `check` every state that the disks could have been left in: before anything,
    /// after each write and flush, and with each write of several sectors torn in its
    /// middle. Returns how many there were.
    pub fn every_state(&self, mut check: impl FnMut(&State<'_>)) -> usize {
        let mut image = self.before.clone();
        let mut marks = Vec::new();
        let mut count = 0;
        let mut show = |image: &Image, marks: &[String], name: String| {
            count += 1;
            self.show(image, marks, name, &mut check);
        };
        show(&image, &marks, "before anything".to_owned());
        for (index, event) in self.events.iter().enumerate() {
            match event {
                Event::Write { at, data, .. } => {
                    let half = data.len() / SECTOR / 2 * SECTOR;
                    if half > 0 {
                        let mut torn = image.clone();
                        torn.put(*at, &data[..half]);
                        show(&torn, &marks, format!("event {index} torn at {at}"));
                    }
                    image.put(*at, data);
                    show(
                        &image,
                        &marks,
                        format!("after event {index}, a write at {at}"),
                    );
                }
                // What a flush makes durable is in the log before it.
                Event::Flush => {}
                Event::Mark(text) => marks.push(text.clone()),
            }
        }
        show(&image, &marks, "after everything".to_owned());
        count
    }

    fn show(
        &self,
        image: &Image,
        marks: &[String],
        name: String,
        check: &mut impl FnMut(&State<'_>),
    ) {
        let disk = Disk::new(&Shape {
            mib: mib(self.main, self.spare),
            ..Shape::default()
        });
        image.write(&disk);
        let state = State {
            pair: Pair::of(disk.path(), self.main, self.spare),
            marks,
            name,
        };
        check(&state);
        state.pair.remove();
        disk.remove();
    }

    /// What was logged.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

fn mib(main: Sectors, spare: Sectors) -> u64 {
    (main.get() + spare.get()).div_ceil(MIB)
}
