//! A journal that is in memory alone.

use std::sync::{Arc, Mutex};

use dmremap::port::journal::{
    ActionId, ActionRecord, BackupFiles, BackupSide, Begun, Ended, Journal,
};
use dmremap::port::HostError;
use dmremap::remap_core::units::Timestamp;

/// A journal in memory, shared by its clones.
#[derive(Clone, Default)]
pub struct MemoryJournal(Arc<Mutex<Logged>>);

#[derive(Default)]
struct Logged {
    actions: Vec<ActionRecord>,
    files: Vec<Option<(Vec<u8>, Vec<u8>)>>,
    /// Whether nothing can be logged any more.
    is_full: bool,
}

impl MemoryJournal {
    pub fn fill(&self) {
        self.0.lock().unwrap().is_full = true;
    }

    /// Forgets the end of the actions behind the first `known`, as a crash before it would.
    pub fn cut_off_behind(&self, known: usize) {
        let mut logged = self.0.lock().unwrap();
        for action in &mut logged.actions[known..] {
            action.ended = None;
        }
    }

    /// Forgets the actions behind the first `known` altogether.
    pub fn forget_behind(&self, known: usize) {
        let mut logged = self.0.lock().unwrap();
        logged.actions.truncate(known);
        logged.files.truncate(known);
    }

    pub fn actions(&self) -> Vec<ActionRecord> {
        self.0.lock().unwrap().actions.clone()
    }
}

impl Journal for MemoryJournal {
    fn ready(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn beside(&self) -> Box<dyn Journal> {
        Box::new(self.clone())
    }

    fn actions(&mut self) -> Result<Vec<ActionRecord>, HostError> {
        let mut actions = MemoryJournal::actions(self);
        for index in (0..actions.len()).rev() {
            let by = &actions[index];
            let counts = by.undone_by.is_none() && by.ended.as_ref().is_some_and(|end| end.done);
            let (Some(undone), true) = (by.begun.undoes, counts) else {
                continue;
            };
            let by = by.id;
            let undone = actions.iter_mut().find(|action| action.id == undone);
            undone.unwrap().undone_by = Some(by);
        }
        Ok(actions)
    }

    fn begin(
        &mut self,
        begun: &Begun,
        backup: Option<BackupFiles<'_>>,
    ) -> Result<ActionId, HostError> {
        let mut logged = self.0.lock().unwrap();
        if logged.is_full {
            return Err(HostError::Io {
                what: "journal".to_owned(),
                source: std::io::ErrorKind::StorageFull.into(),
            });
        }
        let id = ActionId::new(logged.actions.len() as u64 + 1);
        logged.actions.push(ActionRecord {
            id,
            time: Timestamp::new(0),
            begun: begun.clone(),
            has_backup: backup.is_some(),
            ended: None,
            undone_by: None,
        });
        let files = backup.map(|files| (files.before.to_vec(), files.after.to_vec()));
        logged.files.push(files);
        Ok(id)
    }

    fn end(&mut self, id: ActionId, ended: &Ended) -> Result<(), HostError> {
        let mut logged = self.0.lock().unwrap();
        let action = logged.actions.iter_mut().find(|action| action.id == id);
        action.unwrap().ended = Some(ended.clone());
        Ok(())
    }

    fn backup(&mut self, id: ActionId, side: BackupSide) -> Result<Vec<u8>, HostError> {
        let logged = self.0.lock().unwrap();
        let files = logged.files.get(id.get() as usize - 1).cloned().flatten();
        let (before, after) = files.ok_or(HostError::NotFound("backup".to_owned()))?;
        Ok(match side {
            BackupSide::Before => before,
            BackupSide::After => after,
        })
    }
}
