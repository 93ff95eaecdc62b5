//! What a unified diff says, what fits, and what is refused in which words.

use patch_formats::{
    Change, EntryKind, MatchLevel, ModeChange, PATCH_BYTES_MAX, PatchError, PatchText, Tree,
};
use rstest::rstest;

/// The only file's part, brought to a content; else the sentence that refuses it.
fn fit(patch: &[u8], content: &[u8]) -> Result<Vec<u8>, String> {
    let patch = PatchText::parse(patch).map_err(|error| error.to_string())?;
    let [file] = &patch.files[..] else { return Err(format!("{} files", patch.files.len())) };
    file.fit(content, false).map(|fitted| fitted.content).map_err(|error| error.to_string())
}

fn changes(patch: &[u8]) -> Result<Vec<Change>, String> {
    let patch = PatchText::parse(patch).map_err(|error| error.to_string())?;
    Ok(patch.files.into_iter().map(|file| file.change).collect())
}

fn with_head(hunks: &str) -> Vec<u8> {
    format!("--- a/f\n+++ b/f\n{hunks}").into_bytes()
}

fn modify(path: &[u8]) -> Change {
    Change::Modify { path: path.to_vec() }
}

const MIDDLE: &str = "@@ -2,3 +2,3 @@\n 2\n-3\n+X\n 4\n";

#[rstest]
#[case::where_it_says("1\n2\n3\n4\n5\n", Ok("1\n2\nX\n4\n5\n"))]
#[case::moved_down("0\n0\n1\n2\n3\n4\n5\n", Ok("0\n0\n1\n2\nX\n4\n5\n"))]
#[case::moved_up("2\n3\n4\n5\n", Ok("2\nX\n4\n5\n"))]
#[case::where_it_says_and_elsewhere("1\n2\n3\n4\n2\n3\n4\n", Ok("1\n2\nX\n4\n2\n3\n4\n"))]
#[case::twice_elsewhere(
    "2\n3\n4\n2\n3\n4\n",
    Err(
        "hunk 1 (line 3 of the patch) is ambiguous: it fits at line 1 and at line 4; give it more context"
    )
)]
#[case::context_changed(
    "1\n2\n3\nfour\n5\n",
    Err(
        "hunk 1 (line 3 of the patch) does not fit: at line 4 it expects `4\\n`, but the file has `four\\n`"
    )
)]
#[case::too_short(
    "1\n2\n",
    Err(
        "hunk 1 (line 3 of the patch) does not fit: at line 3 it expects `3\\n`, but the file has the end of the file"
    )
)]
#[case::crlf_is_kept("1\r\n2\r\n3\r\n4\r\n", Ok("1\r\n2\r\nX\r\n4\r\n"))]
#[case::mixed_ends_are_kept("1\r\n2\n3\r\n4\n", Ok("1\r\n2\nX\r\n4\n"))]
#[case::accents_composed_otherwise(
    "1\n2\n3e\u{301}\n4\n",
    Err(
        "hunk 1 (line 3 of the patch) does not fit: at line 3 it expects `3\\n`, but the file has `3e\u{301}\\n`"
    )
)]
#[case::a_lone_return_is_no_end(
    "1\n2\n3\r4\n",
    Err(
        "hunk 1 (line 3 of the patch) does not fit: at line 3 it expects `3\\n`, but the file has `3\\r4\\n`"
    )
)]
fn a_hunk_fits_where_it_says_or_in_one_place(
    #[case] content: &str,
    #[case] expected: Result<&str, &str>,
) {
    let fitted = fit(&with_head(MIDDLE), content.as_bytes());
    let expected = expected.map(|text| text.as_bytes().to_vec()).map_err(str::to_owned);
    assert_eq!(fitted, expected);
}

#[test]
fn what_looks_alike_is_told_apart() {
    let patch = with_head("@@ -1,2 +1,2 @@\n caf\u{e9}\n-a\n+b\n");
    let refused = fit(&patch, "cafe\u{301}\na\n".as_bytes()).expect_err("it is another line");
    assert!(
        refused.ends_with("`cafe\u{301}\\n`, with accents composed in another way (NFC or NFD)"),
        "{refused}"
    );
    let patch = with_head("@@ -1,2 +1,2 @@\n \"x\"\n-a\n+b\n");
    let refused = fit(&patch, "\u{201c}x\u{201d}\na\n".as_bytes()).expect_err("it is another line");
    assert!(refused.contains("with other dashes, quotation marks or spaces"), "{refused}");
}

#[rstest]
#[case::top_is_the_top("@@ -1,2 +1,2 @@\n-a\n+b\n c\n", "0\na\nc\n", false)]
#[case::end_is_the_end("@@ -1,2 +1,2 @@\n c\n-a\n+b\n", "c\na\n0\n", false)]
#[case::no_context("@@ -2 +2 @@\n-b\n+c\n", "a\nb\nc\n", false)]
#[case::no_context_at_the_end("@@ -2 +2 @@\n-b\n+c\n", "a\nb\n", true)]
#[case::insertion_without_context("@@ -2,0 +3 @@\n+c\n", "a\nb\nc\n", false)]
#[case::final_newline_expected("@@ -1,2 +1,2 @@\n-a\n+b\n c\n", "a\nc", false)]
#[case::no_final_newline_expected(
    "@@ -1,2 +1,2 @@\n-a\n+b\n c\n\\ No newline at end of file\n",
    "a\nc\n",
    false
)]
#[case::marker_in_another_language("@@ -1 +1 @@\n-a\n\\ Pas de fin\n+b\n", "a", true)]
#[case::byte_order_mark("@@ -1,2 +1,2 @@\n-a\n+b\n c\n", "\u{feff}a\nc\n", true)]
#[case::all_of_the_file_wherever_it_says("@@ -8,2 +0,0 @@\n-a\n-b\n", "a\nb\n", true)]
#[case::all_of_an_empty_file("@@ -0,0 +7 @@\n+a\n", "", true)]
#[case::twice_into_an_empty_file("@@ -0,0 +1 @@\n+a\n@@ -0,0 +1 @@\n+b\n", "", false)]
#[case::line_behind_one_that_does_not_end("@@ -1 +1,2 @@\n a\n+b\n", "a", false)]
fn ends_of_files_are_held(#[case] hunk: &str, #[case] content: &str, #[case] fits: bool) {
    let fitted = fit(&with_head(hunk), content.as_bytes());
    assert_eq!(fitted.is_ok(), fits, "{fitted:?}");
}

#[test]
fn a_byte_order_mark_and_line_endings_stay() {
    let patch = with_head("@@ -1,2 +1,3 @@\n-a\n+b\n+d\n c\n");
    let patch = PatchText::parse(&patch).expect("it is a patch");
    let fitted = patch.files[0].fit(b"\xef\xbb\xbfa\r\nc\r\n", false).expect("it fits");
    assert_eq!(fitted.content, b"\xef\xbb\xbfb\r\nd\r\nc\r\n");
    assert_eq!(fitted.placements[0].level, MatchLevel::LineEndings, "the difference is reported");
}

#[test]
fn a_patch_that_was_sent_with_crlf_fits_either_file() {
    let patch = b"--- a/f\r\n+++ b/f\r\n@@ -1,2 +1,2 @@\r\n-a\r\n+b\r\n c\r\n";
    assert_eq!(fit(patch, b"a\nc\n"), Ok(b"b\nc\n".to_vec()));
    assert_eq!(fit(patch, b"a\r\nc\r\n"), Ok(b"b\r\nc\r\n".to_vec()));
}

#[rstest]
#[case::whose_lines_end_in_crlf("a\r\nc", "b\r\nc")]
#[case::whose_lines_end_in_lf("a\nc", "b\nc")]
fn a_patch_that_was_sent_with_crlf_fits_a_file_whose_last_line_has_no_end(
    #[case] before: &str,
    #[case] after: &str,
) {
    let hunk = "@@ -1,2 +1,2 @@\n-a\n+b\n c\n\\ No newline at end of file\n";
    let patch = String::from_utf8(with_head(hunk)).expect("it is text").replace('\n', "\r\n");
    assert_eq!(fit(patch.as_bytes(), before.as_bytes()), Ok(after.as_bytes().to_vec()));
}

#[test]
fn a_patch_that_was_sent_with_crlf_fits_a_file_of_one_line_without_an_end() {
    let hunk = "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n";
    let patch = String::from_utf8(with_head(hunk)).expect("it is text").replace('\n', "\r\n");
    assert_eq!(fit(patch.as_bytes(), b"a"), Ok(b"b".to_vec()));
    assert_eq!(fit(patch.as_bytes(), b"a\r"), Ok(b"b\r".to_vec()), "as it stands, where that fits");
}

/// Line ends by line: what the patch does not change keeps its own, what comes gets those around.
#[rstest]
#[case::one_for_one("@@ -2,3 +2,3 @@\n b\n-c\n+C\n d\n", "a\r\nb\r\nC\nd\r\n")]
#[case::two_for_two("@@ -1,4 +1,4 @@\n a\n-b\n-c\n+B\n+C\n d\n", "a\r\nB\r\nC\nd\r\n")]
#[case::two_for_one("@@ -2,3 +2,4 @@\n b\n-c\n+C\n+X\n d\n", "a\r\nb\r\nC\nX\nd\r\n")]
#[case::one_comes("@@ -1,2 +1,3 @@\n a\n+X\n b\n", "a\r\nX\r\nb\r\nc\nd\r\n")]
#[case::one_comes_first("@@ -1,2 +1,3 @@\n+X\n a\n b\n", "X\r\na\r\nb\r\nc\nd\r\n")]
#[case::ends_are_changed_in_so_many_words(
    "@@ -1,3 +1,3 @@\n a\r\n-b\r\n+b\n c\n",
    "a\r\nb\nc\nd\r\n"
)]
fn mixed_line_ends_are_kept_line_by_line(#[case] hunk: &str, #[case] expected: &str) {
    let fitted = fit(&with_head(hunk), b"a\r\nb\r\nc\nd\r\n").expect("it fits");
    assert_eq!(String::from_utf8_lossy(&fitted), expected);
}

#[test]
fn what_fits_twice_but_for_line_ends_is_refused() {
    let patch = with_head("@@ -9,3 +9,3 @@\n a\n-b\n+B\n c\n");
    let refusal = fit(&patch, b"0\na\r\nb\nc\n0\na\nb\r\nc\n0\n").expect_err("two places");
    assert!(refusal.contains("is ambiguous"), "{refusal}");
}

#[test]
fn hunks_without_context_want_the_base_to_be_known() {
    let patch = with_head("@@ -1,0 +2 @@\n+b\n@@ -3 +4 @@\n-d\n+e\n");
    let patch = PatchText::parse(&patch).expect("it is a patch");
    assert!(patch.files[0].fit(b"a\nc\nd\nf\n", false).is_err(), "nothing shows the place");
    let fitted = patch.files[0].fit(b"a\nc\nd\nf\n", true).expect("the base is known");
    assert_eq!(fitted.content, b"a\nb\nc\ne\nf\n");
}

#[test]
fn a_hunk_without_context_is_refused_even_if_it_matches() {
    let patch = with_head("@@ -2 +2 @@\n-b\n+c\n");
    let refused = fit(&patch, b"a\nb\nc\n").expect_err("nothing confirms its line");
    assert!(refused.contains("has no context that confirms its line"), "{refused}");
    let refused = fit(&patch, b"a\nx\nb\nc\n").expect_err("it is elsewhere");
    assert!(refused.contains("has no context and does not match at its line"), "{refused}");
}

#[test]
fn an_index_line_names_the_base() {
    // `printf 'a\n' | git hash-object --stdin` begins so.
    let patch = b"diff --git a/f b/f\nindex 78981922..61780798 100644\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n";
    let patch = PatchText::parse(patch).expect("it is a patch");
    assert_eq!(patch.files[0].names_base(b"a\n"), Some(true));
    assert_eq!(patch.files[0].names_base(b"b\n"), Some(false));
}

#[rstest]
#[case(b"--- f\n+++ f\n@@ -1 +1 @@\n-a\n+b\n", modify(b"f"))]
#[case(b"--- a/f\t2026-01-01 10:00:00\n+++ b/f\t2026-01-01\n@@ -1 +1 @@\n-a\n+b\n", modify(b"f"))]
#[case(b"--- a/x y\t\n+++ b/x y\t\n@@ -1 +1 @@\n-a\n+b\n", modify(b"x y"))]
#[case(
    b"--- \"a/\\303\\244\\n\"\n+++ \"b/\\303\\244\\n\"\n@@ -1 +1 @@\n-a\n+b\n",
    modify(b"\xc3\xa4\n")
)]
#[case(b"--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+b\n", Change::Create { path: b"f".to_vec() })]
#[case(b"--- f\t1970-01-01 01:00:00.000000000 +0100\n+++ f\t2026-01-01\n@@ -0,0 +1 @@\n+b\n", Change::Create { path: b"f".to_vec() })]
#[case(b"--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n", Change::Delete { path: b"f".to_vec() })]
#[case(b"diff --git i/f w/f\nold mode 100644\nnew mode 100755\n", modify(b"f"))]
#[case(b"diff --git a/f b/f\nnew file mode 100644\nindex 0000000..e69de29\n", Change::Create { path: b"f".to_vec() })]
#[case(b"diff --git a/f b/g\nsimilarity index 100%\r\nrename from f\nrename to g\r\n", Change::Rename { from: b"f".to_vec(), to: b"g".to_vec() })]
#[case(b"diff --git a/f b/f\r\nold mode 100644\r\nnew mode 100755\n", modify(b"f"))]
#[case(b"--- a/f\r\n+++ b/f\r\n@@ -1 +1 @@\n-a\n+b\n", modify(b"f"))]
#[case(b"diff --git \"a/f\\r\" \"b/f\\r\"\nold mode 100644\nnew mode 100755\n", modify(b"f\r"))]
#[case(
    b"--- a/f 2026-01-01 10:00:00.000 +0100\n+++ b/f  26-01-01 10:00:00\n@@ -1 +1 @@\n-a\n+b\n",
    modify(b"f")
)]
#[case(
    b"--- a/x\ty\t2026-01-01 10:00:00\n+++ b/x\ty\t2026-01-01 10:00:00\n@@ -1 +1 @@\n-a\n+b\n",
    modify(b"x\ty")
)]
#[case(
    b"--- a/1999-12-31 23:59:59\n+++ b/1999-12-31 23:59:59\n@@ -1 +1 @@\n-a\n+b\n",
    modify(b"1999-12-31 23:59:59")
)]
#[case(b"--- f\t1970-01-01 01:00:00 +01:00\n+++ f\n@@ -0,0 +1 @@\n+b\n", Change::Create { path: b"f".to_vec() })]
#[case(b"--- f 1970-01-01 01:00:00 +0100\n+++ f\n@@ -0,0 +1 @@\n+b\n", modify(b"f"))]
#[case(b"diff --git a/f f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", modify(b"f"))]
#[case(b"diff --git old/x y new/x y\nold mode 100644\nnew mode 100755\n", modify(b"x y"))]
#[case(b"diff --git tool-1.0.orig/f tool-1.0/f\nold mode 100644\nnew mode 100755\n", modify(b"f"))]
#[case(b"diff --git a/f b/f\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+b\n", Change::Create { path: b"f".to_vec() })]
#[case(b"git apply <<'EOF'\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\nEOF\n", modify(b"f"))]
#[case(b"\xef\xbb\xbfdiff --git a/f b/f\nold mode 100644\nnew mode 100755\n", modify(b"f"))]
#[case(b"```diff\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n```", modify(b"f"))]
#[case(b"diff --git a/f b/f\nnew file mode 100644\n```", Change::Create { path: b"f".to_vec() })]
#[case(b"From: me\n\ntext\n---\n f | 2 +-\n\ndiff --git a/f b/f\nsimilarity index 100%\nrename from f\nrename to g h\n-- \n2.47\n", Change::Rename { from: b"f".to_vec(), to: b"g h".to_vec() })]
fn headers_say_what_happens_to_which_file(#[case] patch: &[u8], #[case] expected: Change) {
    assert_eq!(changes(patch), Ok(vec![expected]));
}

/// The files that names are looked up in.
struct Files(&'static [(&'static str, &'static str)]);

impl Tree for Files {
    type Content = &'static [u8];
    type Error = PatchError;

    fn has_file(&mut self, name: &[u8]) -> Result<bool, PatchError> {
        Ok(self.0.iter().any(|(file, _)| file.as_bytes() == name))
    }

    fn has_directory(&mut self, name: &[u8]) -> Result<bool, PatchError> {
        let directory = [name, b"/"].concat();
        Ok(self.0.iter().any(|(file, _)| file.as_bytes().starts_with(&directory)))
    }

    fn content(&mut self, name: &[u8]) -> Result<&'static [u8], PatchError> {
        let found = self.0.iter().find(|(file, _)| file.as_bytes() == name);
        Ok(found.expect("it was asked for").1.as_bytes())
    }
}

/// Which file is meant by a part with these names and this hunk; else the refusal.
fn meant(names: &str, hunk: &str, files: &'static [(&str, &str)]) -> Result<String, String> {
    let text = format!("{names}\n{hunk}");
    let patch = PatchText::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let changes = patch.resolve(&mut Files(files)).map_err(|error| error.to_string())?;
    let name = |path: Vec<u8>| String::from_utf8(path).expect("it is text");
    let told = changes.into_iter().map(|change| match change {
        Change::Create { path } => "new ".to_owned() + &name(path),
        Change::Modify { path } => name(path),
        Change::Delete { path } => "no ".to_owned() + &name(path),
        Change::Rename { from, to } => name(from) + " to " + &name(to),
    });
    Ok(told.collect::<Vec<_>>().join(", "))
}

const A_TO_B: &str = "@@ -1 +1 @@\n-a\n+b\n";

#[rstest]
#[case::two_trees("--- old/f\n+++ new/f", &[("f", "a\n")], Ok("f"))]
#[case::two_trees_with_versions("--- tool-1.0.orig/d/f\n+++ tool-1.0/d/f", &[("d/f", "a\n")], Ok("d/f"))]
#[case::a_prefix_twice("--- a/f\n+++ a/f", &[("f", "a\n")], Ok("f"))]
#[case::a_directory_like_a_prefix("--- a/f\n+++ a/f", &[("a/f", "a\n")], Ok("a/f"))]
#[case::a_prefix_or_a_directory("--- a/f\n+++ a/f", &[("f", "a\n"), ("a/f", "a\n")], Err("may mean `f` or `a/f`"))]
#[case::only_one_of_them_fits("--- a/f\n+++ a/f", &[("f", "a\n"), ("a/f", "x\n")], Ok("f"))]
#[case::no_prefix("--- d/f\n+++ d/f", &[("d/f", "a\n")], Ok("d/f"))]
#[case::no_prefix_and_another("--- d/f\n+++ d/f", &[("d/f", "a\n"), ("f", "x\n")], Ok("d/f"))]
#[case::no_prefix_or_a_tree("--- d/f\n+++ d/f", &[("d/f", "a\n"), ("f", "a\n")], Err("may mean `d/f` or `f`"))]
#[case::the_other_one_alone_fits("--- d/f\n+++ d/f", &[("d/f", "x\n"), ("f", "a\n")], Ok("d/f"))]
#[case::in_a_tree_alone("--- d/f\n+++ d/f", &[("f", "a\n")], Ok("f"))]
#[case::from_here("--- ./f\n+++ ./f", &[("f", "a\n")], Ok("f"))]
#[case::from_here_below("--- ./d/f\n+++ ./d/f", &[("d/f", "a\n"), ("f", "a\n")], Ok("d/f"))]
#[case::a_copy_kept_before("--- f.orig\n+++ f", &[("f", "a\n")], Ok("f"))]
#[case::both_copies("--- f.orig\n+++ f", &[("f", "a\n"), ("f.orig", "a\n")], Err("may mean `f` or `f.orig`"))]
#[case::a_copy_that_is_new("--- f\n+++ f.new", &[("f", "a\n")], Ok("f"))]
#[case::a_copy_with_prefixes("--- a/d/f.orig\n+++ b/d/f", &[("d/f", "a\n")], Ok("d/f"))]
#[case::a_copy_without_prefixes("--- d/f.orig\n+++ d/f", &[("d/f", "a\n")], Ok("d/f"))]
#[case::a_copy_in_quotes("--- \"a/f\"\n+++ \"b/f.new\"", &[("f", "a\n")], Ok("f.new"))]
#[case::two_names("--- g\n+++ f", &[("f", "a\n")], Ok("f"))]
#[case::two_names_and_both("--- a/g\n+++ b/f", &[("f", "a\n"), ("g", "a\n")], Err("may mean `f` or `g`"))]
#[case::prefixes_and_a_directory("--- a/f\n+++ b/f", &[("f", "a\n"), ("a/f", "a\n"), ("b/f", "a\n")], Ok("f"))]
#[case::below_gits_header("diff --git d/f d/f\n--- d/f\n+++ d/f", &[("d/f", "a\n")], Ok("d/f"))]
#[case::below_gits_header_in_a_tree("diff --git d/f d/f\n--- d/f\n+++ d/f", &[("f", "a\n")], Ok("f"))]
#[case::nothing_is_there("--- d/f\n+++ d/f", &[], Ok("d/f"))]
#[case::a_placeholder("diff --git a/f b/f\nindex 1234567..abcdefg 100644\n--- a/f\n+++ b/f", &[], Ok("f"))]
#[case::half_an_index("diff --git a/f b/f\nindex e69de29\n--- a/f\n+++ b/f", &[], Ok("f"))]
#[case::three_dots("diff --git a/f b/f\nindex 1234567...89abcde 100644\n--- a/f\n+++ b/f", &[], Ok("f"))]
fn the_file_that_is_there_decides_what_a_name_means(
    #[case] names: &str,
    #[case] files: &'static [(&str, &str)],
    #[case] expected: Result<&str, &str>,
) {
    let found = meant(names, A_TO_B, files);
    match expected {
        Ok(expected) => assert_eq!(found.as_deref(), Ok(expected)),
        Err(words) => assert!(found.as_ref().is_err_and(|e| e.contains(words)), "{found:?}"),
    }
}

#[rstest]
#[case::git("--- /dev/null\n+++ b/d/n", &[], Ok("new d/n"))]
#[case::a_directory_like_a_prefix("--- /dev/null\n+++ b/n", &[("b/x", "")], Err("may mean `b/n` or `n`"))]
#[case::git_beside_a_directory("diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n", &[("b/x", "")], Ok("new n"))]
#[case::another_prefix("--- /dev/null\n+++ w/n", &[], Ok("new n"))]
#[case::another_prefix_or_a_directory("--- /dev/null\n+++ w/n", &[("w/x", "")], Err("may mean `w/n` or `n`"))]
#[case::no_prefix("--- /dev/null\n+++ d/n", &[("d/x", "")], Ok("new d/n"))]
#[case::no_prefix_or_a_tree("--- /dev/null\n+++ d/n", &[], Err("may mean `d/n` or `n`"))]
#[case::one_part("--- /dev/null\n+++ n", &[], Ok("new n"))]
#[case::without_dev_null("--- a/n\n+++ b/n", &[], Ok("new n"))]
#[case::without_dev_null_in_two_trees("--- old/d/n\n+++ new/d/n", &[], Ok("new d/n"))]
#[case::what_is_there_is_not_created("--- a/n\n+++ b/n", &[("n", "")], Ok("n"))]
#[case::git_does_not_guess("diff --git a/n b/n\n--- a/n\n+++ b/n", &[], Ok("n"))]
fn what_comes_to_be_is_named_as_git_names_it_or_as_the_directories_show(
    #[case] names: &str,
    #[case] files: &'static [(&str, &str)],
    #[case] expected: Result<&str, &str>,
) {
    let found = meant(names, "@@ -0,0 +1 @@\n+b\n", files);
    match expected {
        Ok(expected) => assert_eq!(found.as_deref(), Ok(expected)),
        Err(words) => assert!(found.as_ref().is_err_and(|e| e.contains(words)), "{found:?}"),
    }
}

#[test]
fn directories_decide_about_two_new_files_alike() {
    let new = |name: &str| format!("--- /dev/null\n+++ {name}\n@@ -0,0 +1 @@\n+n\n");
    let named = |names: [&str; 2], files| {
        let text = names.map(new).concat();
        let (names, hunks) = text.split_once("\n@@").expect("a hunk");
        meant(names, &format!("@@{hunks}"), files)
    };
    let found = named(["d/n", "d/e/n"], &[("d/x", "")]);
    assert_eq!(found.as_deref(), Ok("new d/n, new d/e/n"));
    // Without `d`, `b` would be a prefix; beside it, it may be a directory that comes to be.
    for names in [["b/n", "d/n"], ["d/n", "b/n"]] {
        let refused = named(names, &[("d/x", "")]).expect_err("two programs wrote it");
        assert!(refused.contains("may mean"), "{refused}");
    }
}

/// Nothing can be looked up here.
struct Unasked;

impl Tree for Unasked {
    type Content = Vec<u8>;
    type Error = PatchError;

    fn has_file(&mut self, name: &[u8]) -> Result<bool, PatchError> {
        unreachable!("{} is looked up", name.escape_ascii())
    }

    fn has_directory(&mut self, name: &[u8]) -> Result<bool, PatchError> {
        self.has_file(name)
    }

    fn content(&mut self, name: &[u8]) -> Result<Vec<u8>, PatchError> {
        self.has_file(name).map(|_| Vec::new())
    }
}

#[test]
fn names_that_can_mean_one_file_alone_are_not_looked_up() {
    let text = "diff --git a/d/f b/d/f\n--- a/d/f\n+++ b/d/f\n@@ -1 +1 @@\n-a\n+b\n\
        --- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n\
        diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+n\n\
        --- /dev/null\n+++ b/d/m\n@@ -0,0 +1 @@\n+n\n";
    let patch = PatchText::parse(text.as_bytes()).expect("it is a patch");
    let changes = patch.resolve(&mut Unasked).expect("nothing has to be decided");
    let create = |path: &[u8]| Change::Create { path: path.to_vec() };
    assert_eq!(changes, [modify(b"d/f"), modify(b"g"), create(b"n"), create(b"d/m")]);
}

const NEW_B_N: &str = "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+n\n";
const NO_A_N: &str = "--- a/n\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n";

/// One program writes all names of a patch in one way.
#[rstest]
#[case::prefixes("--- a/f\n+++ b/f", NEW_B_N, &[("f", "a\n"), ("b/x", "")], Ok("f, new n"))]
#[case::two_trees("--- old/f\n+++ new/f", "--- /dev/null\n+++ new/d/n\n@@ -0,0 +1 @@\n+n\n", &[("f", "a\n")], Ok("f, new d/n"))]
#[case::no_prefixes("--- d/f\n+++ d/f", NEW_B_N, &[("d/f", "a\n"), ("b/x", "")], Ok("d/f, new b/n"))]
#[case::no_prefixes_in_a_new_directory("--- f\n+++ f", NEW_B_N, &[("f", "a\n")], Ok("f, new b/n"))]
#[case::no_prefixes_as_the_files_show("--- d/f\n+++ d/f", NO_A_N, &[("d/f", "a\n"), ("a/n", "a\n"), ("n", "b\n")], Ok("d/f, no a/n"))]
#[case::both("--- d/f\n+++ d/f", NO_A_N, &[("d/f", "a\n"), ("a/n", "a\n"), ("n", "a\n")], Err("may mean `a/n` or `n`"))]
#[case::prefixes_and_a_file_like_one("--- a/f\n+++ b/f", NO_A_N, &[("f", "a\n"), ("a/n", "b\n"), ("n", "a\n")], Ok("f, no n"))]
#[case::in_two_ways("--- d/f\n+++ d/f", "--- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n--- /dev/null\n+++ e/n\n@@ -0,0 +1 @@\n+n\n", &[("d/f", "a\n"), ("g", "a\n")], Err("may mean `e/n` or `n`"))]
#[case::in_two_ways_beside_a_directory("--- f\n+++ f", "--- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n--- /dev/null\n+++ d/n\n@@ -0,0 +1 @@\n+n\n", &[("f", "a\n"), ("g", "a\n"), ("d/x", "")], Err("may mean `d/n` or `n`"))]
fn names_of_a_patch_decide_about_each_other(
    #[case] names: &str,
    #[case] more: &str,
    #[case] files: &'static [(&str, &str)],
    #[case] expected: Result<&str, &str>,
) {
    let found = meant(names, &format!("{A_TO_B}{more}"), files);
    match expected {
        Ok(expected) => assert_eq!(found.as_deref(), Ok(expected)),
        Err(words) => assert!(found.as_ref().is_err_and(|e| e.contains(words)), "{found:?}"),
    }
}

#[rstest]
#[case("old mode 100644\nnew mode 100755\n", Some(ModeChange::Executable(true)))]
#[case("old mode 100600\nnew mode 100640\n", Some(ModeChange::Exact { old: Some(0o600), new: 0o640 }))]
#[case("new file mode 100755\n", Some(ModeChange::Executable(true)))]
#[case("deleted file mode 100755\n", None)]
fn modes_are_gits_two_or_exact(#[case] lines: &str, #[case] expected: Option<ModeChange>) {
    let patch = format!("diff --git a/f b/f\n{lines}");
    let patch = PatchText::parse(patch.as_bytes()).expect("it is a patch");
    assert_eq!(patch.files[0].mode, expected);
}

#[rstest]
#[case::nothing(b"", "the patch contains no change")]
#[case::prose(b"please change a to b\n", "the patch contains no change")]
#[case::out_of_the_root(
    b"--- a/../f\n+++ b/../f\n@@ -1 +1 @@\n-a\n+b\n",
    "leads out of its directory"
)]
#[case::escaped_out_of_the_root(
    b"--- \"a/\\056./f\"\n+++ \"b/\\056./f\"\n@@ -1 +1 @@\n-a\n+b\n",
    "leads out of its directory"
)]
#[case::absolute(b"--- /etc/f\n+++ /etc/f\n@@ -1 +1 @@\n-a\n+b\n", "is absolute")]
#[case::absolute_on_one_side(b"--- /tmp/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", "is absolute")]
#[case::absolute_behind_the_prefix(
    b"--- a//etc/f\n+++ b//etc/f\n@@ -1 +1 @@\n-a\n+b\n",
    "is absolute"
)]
#[case::nul(b"--- \"a/\\000\"\n+++ \"b/\\000\"\n@@ -1 +1 @@\n-a\n+b\n", "holds a NUL")]
#[case::a_bad_quote(
    b"--- \"a/\\q\"\n+++ \"b/\\q\"\n@@ -1 +1 @@\n-a\n+b\n",
    "is not quoted correctly"
)]
#[case::names_disagree(
    b"diff --git a/f b/f\n--- a/f\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n",
    "is not `f`"
)]
#[case::no_name(b"@@ -1 +1 @@\n-a\n+b\n", "a hunk needs the `---` and `+++` lines")]
#[case::binary(
    b"diff --git a/f b/f\nindex 1234567..2345678\nGIT binary patch\nliteral 0\n",
    "binary patches are not supported"
)]
#[case::binary_in_words(
    b"diff --git a/f b/f\nindex 1234567..2345678\nBinary files a/f and b/f differ\n",
    "binary patches are not supported"
)]
#[case::binary_of_gnu(b"Binary files f and g differ\n", "binary patches are not supported")]
#[case::copy(
    b"diff --git a/f b/g\nsimilarity index 100%\ncopy from f\ncopy to g\n",
    "copies are not supported"
)]
#[case::a_link_from_a_file(
    b"diff --git a/f b/f\nold mode 100644\nnew mode 120000\n",
    "delete the one and create the other"
)]
#[case::a_file_by_its_header_and_a_link_by_its_index(
    b"diff --git a/f b/f\nnew file mode 120000\nindex 0000000..1234567 100644\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+g\n",
    "delete the one and create the other"
)]
#[case::a_change_to_the_same_mode(
    b"diff --git a/f b/f\nold mode 100755\nnew mode 100755\nindex 1234567..2345678 100644\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n",
    "`old mode` and `new mode` are the same"
)]
#[case::an_old_mode_of_a_new_file(
    b"diff --git a/f b/f\nold mode 100755\nnew mode 100644\nnew file mode 100755\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+a\n",
    "a file that is created has no `old mode`"
)]
#[case::a_directory_by_gits_header(
    b"diff --git a/f b/f\nnew file mode 040755\n",
    "not the mode of a file or of a symbolic link"
)]
#[case::submodule(
    b"diff --git a/f b/f\nnew file mode 160000\nindex 0000000..1234567\n",
    "submodules are not supported"
)]
#[case::index_without_a_mode(
    b"diff --git a/f b/f\nindex 1234567..2345678 x00644\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n",
    "not the mode of a file"
)]
#[case::a_time_that_git_takes_for_the_name(
    b"--- /dev/null\r\n+++ b/f 2026-01-01 10:00:00\r\n@@ -0,0 +1 @@\r\n+a\r\n",
    "line 2 of the patch: a time after blanks and a CR LF"
)]
#[case::in_another_directory(
    b"cd d && git apply <<'EOF'\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\nEOF\n",
    "line 1 of the patch: `cd d && git apply <<'EOF'` is not supported"
)]
#[case::a_deletion_that_the_header_does_not_say(
    b"diff --git a/f b/f\n--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
    "a deletion needs `deleted file mode`"
)]
#[case::a_form_feed_within_a_name(
    b"--- a/f\x0c\n+++ b/f\x0c\n@@ -1 +1 @@\n-a\n+b\n",
    "is not quoted correctly"
)]
#[case::submodule(b"diff --git a/f b/f\nnew file mode 160000\n", "submodules are not supported")]
#[case::overflow(
    b"--- a/f\n+++ b/f\n@@ -99999999999999999999,1 +1 @@\n-a\n+b\n",
    "is not a hunk header"
)]
#[case::too_large_a_count(
    b"--- a/f\n+++ b/f\n@@ -1,4294967296 +1 @@\n-a\n+b\n",
    "is not a hunk header"
)]
#[case::huge_count(b"--- a/f\n+++ b/f\n@@ -1,4294967295 +1 @@\n-a\n+b\n", "lacks 4294967294 old")]
#[case::too_few(b"--- a/f\n+++ b/f\n@@ -1,3 +1 @@\n-a\n+b\n", "lacks 2 old")]
#[case::too_many(
    b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n+c\n",
    "more lines than its header counts, from line 6 on"
)]
#[case::cut_off(b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b", "the patch is cut off here")]
#[case::out_of_order(
    b"--- a/f\n+++ b/f\n@@ -5 +5 @@\n-a\n+b\n@@ -1 +1 @@\n-a\n+b\n",
    "out of order"
)]
#[case::overlapping(
    b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-a\n+b\n c\n@@ -2 +2 @@\n-c\n+b\n",
    "overlaps"
)]
#[case::twice(
    b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-b\n+c\n",
    "`f` is changed twice"
)]
#[case::no_change(b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n a\n", "changes nothing")]
#[case::empty_part(b"diff --git a/f b/f\nindex 1234567..2345678\n", "the patch is cut off here")]
#[case::nothing_at_all(b"diff --git a/f b/f\nindex 1234567..1234567\n", "changes nothing")]
#[case::cut_off_in_a_mode(b"diff --git a/f b/f\nnew file mode 100644", "the patch is cut off here")]
#[case::cut_off_in_a_name(
    b"diff --git a/f b/g\nrename from f\nrename to g",
    "the patch is cut off here"
)]
#[case::cut_off_before_the_content_of_a_new_file(
    b"diff --git a/f b/f\nnew file mode 100644\nindex 0000000..1234567\n",
    "the patch is cut off here"
)]
#[case::cut_off_before_the_change_of_a_renamed_file(
    b"diff --git a/f b/g\nsimilarity index 90%\nrename from f\nrename to g\n",
    "the patch is cut off here"
)]
#[case::a_change_that_does_not_follow(
    b"diff --git a/f b/f\nold mode 100644\nnew mode 100755\nindex 1234567..2345678\n\nBye.\n",
    "announces a change of content, but no hunk follows"
)]
#[case::cut_off_behind_the_names(b"--- a/f\n+++ b/f\n", "the patch is cut off here")]
#[case::cut_off_behind_a_name(b"--- a/f\n+++", "the patch is cut off here")]
#[case::cut_off_in_the_next_file(
    b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n--",
    "the patch is cut off here"
)]
#[case::cut_off_in_the_next_hunk(
    b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n@@",
    "the patch is cut off here"
)]
#[case::cut_off_in_no_newline(
    b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n\\ No",
    "the patch is cut off here"
)]
#[case::a_return_within_a_name(
    b"diff --git a/f b/f\nrename from f\nrename to g\rh\n",
    "is not quoted correctly"
)]
#[case::half_a_rename(
    b"diff --git a/f b/g\nrename from f\n",
    "needs `rename from` and `rename to`"
)]
fn what_cannot_be_read_is_refused_in_words(#[case] patch: &[u8], #[case] words: &str) {
    let refusal = changes(patch).expect_err("it is refused");
    assert!(refusal.contains(words), "{refusal}");
}

#[test]
fn a_deletion_of_another_file_is_refused() {
    let patch = b"diff --git a/f b/f\ndeleted file mode 100644\n";
    assert_eq!(fit(patch, b""), Ok(Vec::new()));
    assert!(fit(patch, b"a\n").is_err(), "the file holds more than the patch takes away");
}

#[test]
fn a_patch_of_100_megabytes_is_refused_before_it_is_read() {
    let patch = vec![b'\n'; 100_000_000];
    let refusal = changes(&patch).expect_err("it is refused");
    assert!(refusal.contains(&PATCH_BYTES_MAX.to_string()), "{refusal}");
    let refusal = changes(&patch[..PATCH_BYTES_MAX]).expect_err("it is refused");
    assert!(refusal.contains("lines"), "{refusal}");
}

/// Trying each place line by line would look at 10^10 lines here.
#[test]
fn context_that_nearly_matches_everywhere_does_not_cost_the_product() {
    let content = "a\n".repeat(200_000);
    let context = " a\n".repeat(50_000);
    let hunk = format!("@@ -7,50002 +7,50002 @@\n{context}-b\n+c\n a\n");
    assert!(fit(&with_head(&hunk), content.as_bytes()).is_err(), "no line is `b`");
}

#[test]
fn many_hunks_that_have_to_be_looked_for_end_with_a_limit() {
    let content: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let hunk = |n: u32| {
        let at = n * 3;
        format!("@@ -{},3 +{},3 @@\n {}\n-{}\n+x\n {}\n", at + 2, at + 2, at, at + 1, at + 2)
    };
    let hunks: String = (1..5000).map(hunk).collect();
    let refusal = fit(&with_head(&hunks), content.as_bytes()).expect_err("the search is bounded");
    assert!(refusal.contains("is limited to 100000000"), "{refusal}");
}

#[rstest]
#[case::created(
    b"diff --git a/l b/l\nnew file mode 120000\nindex 0000000..1234567\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+t\n\\ No newline at end of file\n",
    b"",
    b"t"
)]
#[case::changed(
    b"diff --git a/l b/l\nindex 0123456..1234567 120000\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-t\n\\ No newline at end of file\n+u\n\\ No newline at end of file\n",
    b"t",
    b"u"
)]
#[case::deleted(
    b"diff --git a/l b/l\ndeleted file mode 120000\nindex 0123456..0000000\n--- a/l\n+++ /dev/null\n@@ -1 +0,0 @@\n-t\n\\ No newline at end of file\n",
    b"t",
    b""
)]
fn a_mode_tells_a_symbolic_link_from_a_file(
    #[case] patch: &[u8],
    #[case] before: &[u8],
    #[case] after: &[u8],
) {
    let read = PatchText::parse(patch).expect("it is read");
    assert_eq!(read.files[0].kind, Some(EntryKind::Symlink));
    assert_eq!(read.files[0].mode, None, "links have no permission bits");
    assert_eq!(read.files[0].fit(before, false).expect("it fits").content, after);
    // The target has no line end that the patch's could be.
    let sent = String::from_utf8_lossy(patch).replace('\n', "\r\n");
    assert_eq!(fit(sent.as_bytes(), before), Ok(after.to_vec()));
}

#[test]
fn directories_stand_beside_the_files_as_lines_of_a_summary() {
    let patch =
        b"create mode 040750 d/e/\ndelete mode 040755 \"a\\tb/\"\n create mode 040755 not/\n";
    let read = PatchText::parse(patch).expect("it is read");
    let found: Vec<_> =
        read.files.iter().map(|file| (&file.change, file.kind, file.mode)).collect();
    let (made, gone) =
        (Change::Create { path: b"d/e".into() }, Change::Delete { path: b"a\tb".into() });
    let bits = Some(ModeChange::Exact { old: None, new: 0o750 });
    let kind = Some(EntryKind::Directory);
    assert_eq!(found, [(&made, kind, bits), (&gone, kind, None)]);
}

#[test]
fn what_git_says_of_files_in_a_summary_is_prose() {
    let patch = b"create mode 100644 f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n";
    assert_eq!(PatchText::parse(patch).expect("it is read").files.len(), 1);
}

#[test]
fn a_rename_of_a_link_may_say_by_its_modes_that_it_is_one() {
    let patch = b"diff --git a/l b/m\nold mode 120000\nnew mode 120000\nsimilarity index 100%\nrename from l\nrename to m\n";
    let read = PatchText::parse(patch).expect("it is read");
    assert_eq!((read.files[0].kind, read.files[0].mode), (Some(EntryKind::Symlink), None));
}
