//! The load for crash tests, and whether its check can fail.

use dmremap::lab::exercise::{Exercise, ExerciseError, Found};
use dmremap::port::Host;
use dmremap::remap_core::message::Message;
use dmremap::remap_core::units::{Blocks, MainBlock, Sector};

use crate::fixture::{vault, Fixture};

#[test]
fn a_load_is_verified_and_what_was_lost_is_named() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    lab.activate(&vault()).unwrap();
    let load = Exercise {
        seed: 11,
        blocks: Blocks::new(64),
    };
    load.break_blocks(&mut lab, "vault", 5).unwrap();
    let mut report = Vec::new();
    let done = load.run(&mut lab, "vault", 0, 40, &mut report).unwrap();
    assert_eq!(done.failed, 0);
    let text = String::from_utf8(report.clone()).unwrap();
    assert_eq!(text.lines().count() as u64, done.acknowledged);
    // Half a line was never reported, however wrong it is.
    report.extend(b"ack 3 99");
    let verified = load.verify(&mut lab, "vault", &mut &report[..]).unwrap();
    assert_eq!((verified.next_step, &verified.wrong[..]), (40, &[][..]));

    // A later step than the last one reported may have got through, an older may not.
    load.run(&mut lab, "vault", 40, 5, &mut std::io::sink())
        .unwrap();
    let verified = load.verify(&mut lab, "vault", &mut &report[..]).unwrap();
    assert!(verified.wrong.is_empty());
    load.run(&mut lab, "vault", 0, 40, &mut std::io::sink())
        .unwrap();
    let mut newer = report[..report.len() - "ack 3 99".len()].to_vec();
    load.run(&mut lab, "vault", 40, 5, &mut newer).unwrap();
    load.run(&mut lab, "vault", 0, 40, &mut std::io::sink())
        .unwrap();
    let verified = load.verify(&mut lab, "vault", &mut &newer[..]).unwrap();
    assert!(!verified.wrong.is_empty());
    for wrong in &verified.wrong {
        let Found::Generation(found) = wrong.found else {
            panic!("{wrong}");
        };
        assert!(found < wrong.acknowledged, "{wrong}");
    }

    let word = text.lines().last().unwrap().split(' ').nth(1).unwrap();
    let block = MainBlock::new(word.parse().unwrap());
    lab.write("vault", Sector::new(block.get()), &[1; 512])
        .unwrap();
    let verified = load.verify(&mut lab, "vault", &mut &report[..]).unwrap();
    assert_eq!(verified.wrong.len(), 1);
    assert_eq!(
        (verified.wrong[0].block, verified.wrong[0].found),
        (block, Found::Stranger)
    );
    let fault = format!("fault main read {block} 1");
    let words: Vec<&str> = fault.split(' ').collect();
    lab.message("vault", &Message::parse(&words).unwrap())
        .unwrap();
    let verified = load.verify(&mut lab, "vault", &mut &report[..]).unwrap();
    let found = verified.wrong[0].found;
    let moved = lab
        .read("vault", Sector::new(block.get()), &mut [0; 512])
        .is_ok();
    assert_eq!(found, if moved { Found::Stranger } else { Found::Lost });

    for bad in [
        "ack 1\n",
        "nak 1 2\n",
        "ack 1 2 3\n",
        "ack x 1\n",
        "ack -1 1\n",
    ] {
        let outcome = load.verify(&mut lab, "vault", &mut bad.as_bytes());
        assert!(
            matches!(outcome, Err(ExerciseError::Line { number: 1 })),
            "{bad}"
        );
    }
    for blocks in [0, 1 << 40] {
        let load = Exercise {
            blocks: Blocks::new(blocks),
            ..load
        };
        let outcome = load.run(&mut lab, "vault", 0, 1, &mut std::io::sink());
        assert!(matches!(outcome, Err(ExerciseError::Blocks { .. })));
    }
}
