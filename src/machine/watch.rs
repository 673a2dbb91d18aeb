//! Waiting for several things at once.

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::port::Watcher;

/// Wakes when one of its watchers does, for as long as one of them can wait.
struct Joined {
    changed: Receiver<()>,
}

/// Waits for whatever one of `watchers` waits for, each on a thread of its own. The
/// threads end with their watchers, or when they have nobody left to tell.
pub(super) fn join(watchers: Vec<Box<dyn Watcher>>) -> Box<dyn Watcher> {
    let (changes, changed) = mpsc::channel();
    for mut watcher in watchers {
        let changes = changes.clone();
        thread::spawn(
            move || {
                while watcher.wait().is_ok() && changes.send(()).is_ok() {}
            },
        );
    }
    Box::new(Joined { changed })
}

impl Watcher for Joined {
    fn wait(&mut self) -> io::Result<()> {
        let first = self.changed.recv();
        // What changed meanwhile is seen by whoever looks now.
        self.changed.try_iter().for_each(drop);
        first.map_err(|_| io::Error::other("nothing can be waited for any more"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wakes when it is told to, and fails when nobody can tell it any more.
    struct Told(Receiver<()>);

    impl Watcher for Told {
        fn wait(&mut self) -> io::Result<()> {
            self.0.recv().map_err(io::Error::other)
        }
    }

    #[test]
    fn either_wakes_it_and_one_that_fails_is_not_missed() {
        let (one, first) = mpsc::channel();
        let (other, second) = mpsc::channel();
        let mut joined = join(vec![Box::new(Told(first)), Box::new(Told(second))]);
        one.send(()).unwrap();
        joined.wait().unwrap();
        drop(one);
        other.send(()).unwrap();
        joined.wait().unwrap();
        drop(other);
        assert!(joined.wait().is_err());
    }
}
