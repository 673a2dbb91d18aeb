//! Contents of slots, each kept once and named by a number, so that millions of states
//! of the disk can be compared, and each different one is judged once.

use std::collections::{HashMap, HashSet};

use dmremap::remap_core::commit::{prepare, Authority, Intent, Prepared, Refusal};
use dmremap::remap_core::quorum::{judge, CopyState, Reading, Survey, Verdict};
use dmremap::remap_core::signature::Signature;
use dmremap::remap_core::superblock::{
    read_copy, readdress, Content, RawCopy, Superblock, COPY_BYTES,
};
use dmremap::remap_core::units::{PerSlot, Slot};

use crate::common::{ext4_block, read, read_block, Noise, UNREADABLE};

/// The number of one content of a slot.
pub type Id = u16;

/// The number of one content of a copy, whichever slot it was written for.
pub type Body = u16;

/// What lies in the five slots.
pub type Disk = [Id; Slot::COUNT];

/// How much a slot's content is worth, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Worthless,
    MoreOlder,
    OneOlder,
    Winning,
}

/// What a judgement comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub verdict: Verdict,
    pub winner: Option<Body>,
    pub sequence: Option<u64>,
    pub ranks: [Rank; Slot::COUNT],
}

/// Every content and judgement met so far.
#[derive(Default)]
pub struct Book {
    readings: Vec<Reading>,
    ids: HashMap<(RawCopy, Option<Signature>), Id>,
    bodies: HashMap<RawCopy, Body>,
    facts: HashMap<Disk, Facts>,
    torn: HashMap<(Id, Id), Vec<Id>>,
    /// Disks from which a repair was seen to succeed.
    pub repaired: HashSet<Disk>,
    /// Whether a header of the remap table says that the spare is ours.
    pub header: bool,
}

impl Book {
    /// The number of a content.
    pub fn id(&mut self, reading: &Reading) -> Id {
        // No copy begins with this, so it can stand for the error.
        let key = match reading {
            Reading::Read { raw, signature } => (*raw, *signature),
            Reading::Unreadable(_) => ([0xee; COPY_BYTES], None),
        };
        *self.ids.entry(key).or_insert_with(|| {
            self.readings.push(*reading);
            Id::try_from(self.readings.len() - 1).unwrap()
        })
    }

    /// The number of a copy's content.
    pub fn body(&mut self, raw: &RawCopy) -> Body {
        let next = Body::try_from(self.bodies.len()).unwrap();
        *self.bodies.entry(readdress(raw, Slot::S0)).or_insert(next)
    }

    /// The content of this number.
    pub fn reading(&self, id: Id) -> Reading {
        self.readings[usize::from(id)]
    }

    /// Everything that a look at the disk gives.
    pub fn survey(&self, disk: &Disk) -> Survey {
        Survey {
            slots: PerSlot::new(disk.map(|id| self.reading(id))),
            header: self.header,
        }
    }

    /// What the copies on the disk are worth.
    pub fn facts(&mut self, disk: &Disk) -> Facts {
        if let Some(facts) = self.facts.get(disk) {
            return *facts;
        }
        let survey = self.survey(disk);
        let judgement = judge(&survey);
        let winner = judgement.winning_copy(&survey).copied();
        let newest = judgement.sequence.map_or(0, |sequence| sequence.get());
        let ranks = Slot::ALL.map(|slot| match judgement.states.get(slot) {
            _ if *judgement.winners.get(slot) => Rank::Winning,
            CopyState::Valid | CopyState::Plain | CopyState::Stale => {
                match self.sequence_in(disk, slot).checked_add(1) == Some(newest) {
                    true => Rank::OneOlder,
                    false => Rank::MoreOlder,
                }
            }
            _ => Rank::Worthless,
        });
        let facts = Facts {
            verdict: judgement.verdict,
            winner: winner.map(|raw| self.body(&raw)),
            sequence: judgement.sequence.map(|sequence| sequence.get()),
            ranks,
        };
        self.facts.insert(*disk, facts);
        facts
    }

    fn sequence_in(&self, disk: &Disk, slot: Slot) -> u64 {
        self.superblock(disk, slot).unwrap().sequence.get()
    }

    /// What the copy in `slot` says, if it can be believed on its own.
    pub fn superblock(&self, disk: &Disk, slot: Slot) -> Option<Superblock> {
        let Reading::Read { raw, .. } = self.reading(disk[slot.index() as usize]) else {
            return None;
        };
        match read_copy(&raw, slot) {
            Content::Checksummed(superblock) | Content::Plain(superblock) => Some(superblock),
            _ => None,
        }
    }

    /// What the copies on the disk say together, if they say one thing.
    pub fn winning_superblock(&self, disk: &Disk) -> Option<Superblock> {
        let survey = self.survey(disk);
        judge(&survey).superblock(&survey)
    }

    /// Decides on a write of the copies, from a fresh look at the disk.
    pub fn prepare(
        &self,
        disk: &Disk,
        intent: Intent<'_>,
        authority: Authority,
    ) -> Result<Prepared, Refusal> {
        let survey = self.survey(disk);
        prepare(&judge(&survey), &survey, intent, authority)
    }

    /// What a slot holds once `raw` is written to it. A file system's superblock lies
    /// behind the copy and survives.
    pub fn written(&mut self, old: Id, raw: &RawCopy) -> Id {
        let reading = match self.reading(old) {
            Reading::Read {
                signature: Some(Signature::Ext),
                ..
            } => {
                let mut block = ext4_block();
                block[..COPY_BYTES].copy_from_slice(raw);
                read_block(&block)
            }
            _ => read(*raw),
        };
        self.id(&reading)
    }

    /// What a slot may hold after a crash while `new` was written over `old`: nothing
    /// of it, all of it, either half, all but the last eight bytes, noise, or what no
    /// longer can be read.
    pub fn torn(&mut self, old: Id, new: Id) -> Vec<Id> {
        if let Some(torn) = self.torn.get(&(old, new)) {
            return torn.clone();
        }
        let before = match self.reading(old) {
            Reading::Read { raw, .. } => raw,
            Reading::Unreadable(_) => [0; COPY_BYTES],
        };
        let Reading::Read { raw: after, .. } = self.reading(new) else {
            panic!("what is written can be read");
        };
        let mixed = |from_new: std::ops::Range<usize>| {
            let mut raw = before;
            raw[from_new.clone()].copy_from_slice(&after[from_new]);
            raw
        };
        let mut noise = [0; COPY_BYTES];
        Noise::new(u64::from(new)).fill(&mut noise);
        let forms = [mixed(0..256), mixed(256..512), mixed(0..504), noise];
        let mut torn = vec![old, new, self.id(&UNREADABLE)];
        torn.extend(forms.map(|raw| self.written(old, &raw)));
        torn.sort_unstable();
        torn.dedup();
        self.torn.insert((old, new), torn.clone());
        torn
    }
}
