//! What our own renderer writes is read back to the same bytes.

use diff_engine::{DiffEngine, FileChange, FileHeader, Policy, RenderOptions, Side};
use patch_formats::PatchText;
use proptest::prelude::*;

/// Few bytes, so that lines repeat and every kind of line end comes up.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"aab\n\n\n\r-+ @\\\xff".to_vec());
    prop::collection::vec(byte, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rendered_diff_gives_the_staged_bytes(
        old in content(),
        new in content(),
        context in 0_u32..5,
        strategy in prop::sample::select(vec!["histogram", "myers", "patience", "full-replace"]),
    ) {
        prop_assume!(old != new);
        let policy = Policy { strategy: strategy.to_owned(), ..Policy::default() };
        let engine = DiffEngine::bundled(policy);
        let (before, after) = (Side::Text(&old), Side::Text(&new));
        let diff = engine.diff(before, after);
        let header = FileHeader::new(FileChange::Modify { path: b"f" });
        let options = RenderOptions { context_lines: Some(context), ..RenderOptions::default() };
        let mut text = Vec::new();
        engine.render(&header, &diff, before, after, &options, &mut text).expect("memory takes it");
        let patch = PatchText::parse(&text).expect("our own diff is read");
        // Without context, nothing but a known base says where a hunk belongs.
        let fitted = patch.files[0].fit(&old, context == 0);
        prop_assert_eq!(fitted.map(|fitted| fitted.content), Ok(new));
    }
}
