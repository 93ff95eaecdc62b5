//! Modes and encodings are applied as they were shown to the reviewer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rstest::rstest;
use staging_core::{ApplyRequest, PatchRequest, Proposal, Risk, RiskKind};

use crate::world::{World, path, write};

fn create(name: &str, mode: u32) -> Proposal {
    Proposal::Write { path: path(name), content: b"x\n".to_vec(), mode: Some(mode) }
}

fn diff(world: &World) -> String {
    let mut text = Vec::new();
    let options = Default::default();
    world.layer.write_diff(&world.pending(), &options, &mut text).expect("a diff");
    String::from_utf8(text).expect("it is text")
}

/// The permission bits of a created file are in the diff, in JSON and on disk; git accepts the diff,
/// and proposing it again gives the same bits.
#[rstest]
#[case(0o644, 0o644, "100644")]
#[case(0o755, 0o644, "100755")]
#[case(0o666, 0o644, "100666")]
#[case(0o1777, 0o644, "101777")]
#[case(0, 0o644, "100000")]
#[case(0o600, 0o644, "100600")]
#[case(0o664, 0o644, "100664")]
#[case(0o664, 0o664, "100644")]
#[case(0o775, 0o664, "100755")]
#[case(0o700, 0o600, "100755")]
fn a_created_file_is_shown_with_its_mode_unless_it_is_the_default(
    #[case] mode: u32,
    #[case] plain: u32,
    #[case] shown: &str,
) {
    let world = World::with(|options| options.new_file_mode = plain);
    let s = world.session("agent");
    world.layer.propose(s, create("f", mode)).expect("staged");
    let text = diff(&world);
    assert!(text.contains(&format!("\nnew file mode {shown}\n")), "{text}");
    let [patch] = &world.pending()[..] else { panic!("one patch") };
    let json = serde_json::to_value(patch).expect("patches are JSON");
    assert_eq!(json["staged"]["mode"], format!("{:06o}", 0o100000 | mode), "all bits");
    let is_plain = mode == plain || mode == plain | ((plain & 0o444) >> 2);
    let detail = patch.diff.risks.iter().find_map(|risk| risk.detail.as_deref());
    let names_the_mode =
        detail.is_some_and(|it| it.starts_with(&format!("created with {mode:03o}")));
    assert_eq!(names_the_mode, !is_plain, "{:?}", patch.diff.risks);

    let again = world.session("again");
    let request = PatchRequest { text: text.clone().into_bytes(), ..Default::default() };
    world.layer.propose_patch(again, &request).expect("our own diff is read");
    let modes: Vec<_> = world.pending().iter().map(|p| p.staged.expect("content").mode).collect();
    assert_eq!(modes, [mode, mode]);

    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("p"), &text).expect("the patch");
    let git = Command::new("git").args(["apply", "p"]).current_dir(folder.path()).output();
    if let Ok(git) = git {
        assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
        assert_eq!(fs::read(folder.path().join("f")).expect("created"), b"x\n");
    }

    world.layer.close_session(again).expect("its patch is rejected");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    let there = fs::metadata(world.root().join("f")).expect("it is there").permissions().mode();
    assert_eq!(there & 0o7777, mode);
}

#[test]
fn a_file_too_long_to_be_compared_that_loses_its_byte_order_mark_is_a_risk() {
    let world = World::with(|options| options.diff.size_max_bytes = 1000);
    let long = "0123456789\n".repeat(200);
    world.put("f", format!("\u{feff}{long}"));
    world.put("g", format!("\u{feff}{long}"));
    let s = world.session("agent");
    let risks = |name: &str, content: &str| {
        let proposed = world.layer.propose(s, write(name, content)).expect("staged");
        proposed.patch.expect("pending").diff.risks
    };
    let detail = Some("lost its byte order mark (BOM)".to_owned());
    let lost = Risk { kind: RiskKind::Encoding, detail };
    assert!(risks("f", &long).contains(&lost));
    assert!(risks("f", "short\n").contains(&lost));
    assert!(!risks("g", &format!("\u{feff}{long}more\n")).contains(&lost));
}
