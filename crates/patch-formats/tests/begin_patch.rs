//! What `*** Begin Patch` says, where its hunks fit, and what is refused in which words.

use patch_formats::{Change, Format, MatchLevel, PatchText};
use rstest::rstest;

fn wrapped(body: &str) -> String {
    format!("*** Begin Patch\n{body}*** End Patch\n")
}

/// Each hunk's line and level.
type Locations = Vec<(usize, MatchLevel)>;

/// The new content and where the hunks fit; else the sentence that refuses it.
fn fit(patch: &[u8], content: &[u8]) -> Result<(Vec<u8>, Locations), String> {
    let patch = PatchText::parse(patch).map_err(|error| error.to_string())?;
    assert_eq!(patch.format, Format::BeginPatch, "the first line says how it is written");
    let [file] = &patch.files[..] else { return Err(format!("{} files", patch.files.len())) };
    let fitted = file.fit(content, false).map_err(|error| error.to_string())?;
    assert!(fitted.placements.iter().all(|place| place.offset.is_none()), "it names no lines");
    let places = fitted.placements.iter().map(|place| (place.line, place.level)).collect();
    Ok((fitted.content, places))
}

fn updated(hunks: &str, content: &str) -> Result<String, String> {
    let patch = wrapped(&format!("*** Update File: f\n{hunks}"));
    let (content, _) = fit(patch.as_bytes(), content.as_bytes())?;
    Ok(String::from_utf8(content).expect("both sides are text"))
}

fn changes(patch: &[u8]) -> Result<Vec<Change>, String> {
    let patch = PatchText::parse(patch).map_err(|error| error.to_string())?;
    Ok(patch.files.into_iter().map(|file| file.change).collect())
}

#[test]
fn a_patch_adds_deletes_moves_and_updates_files() {
    let patch = wrapped(
        "*** Add File: a b\n+one\n+\n+two\n*** Delete File: c\n*** Update File: d\n*** Move to: e/f\n\
         @@\n-x\n+y\n*** Update File: g\n*** Move to: h\n*** Add File: empty\n",
    );
    let read = PatchText::parse(patch.as_bytes()).expect("it is a patch");
    let expected = [
        Change::Create { path: b"a b".to_vec() },
        Change::Delete { path: b"c".to_vec() },
        Change::Rename { from: b"d".to_vec(), to: b"e/f".to_vec() },
        Change::Rename { from: b"g".to_vec(), to: b"h".to_vec() },
        Change::Create { path: b"empty".to_vec() },
    ];
    let found: Vec<_> = read.files.iter().map(|file| file.change.clone()).collect();
    assert_eq!(found, expected);
    let content = |index: usize, before: &[u8]| {
        read.files[index].fit(before, false).expect("it fits").content
    };
    assert_eq!(content(0, b""), b"one\n\ntwo\n");
    assert_eq!(content(1, b"whatever\xff"), b"", "a deletion names no content");
    assert_eq!(content(2, b"w\nx\n"), b"w\ny\n");
    assert_eq!(content(3, b"stays"), b"stays");
    assert_eq!(content(4, b""), b"");
}

#[rstest]
#[case::plain("@@\n a\n-b\n+c\n", "a\nb\n", "a\nc\n")]
#[case::first_hunk_without_its_head(" a\n-b\n+c\n", "a\nb\n", "a\nc\n")]
#[case::in_the_middle("@@\n-b\n+c\n+d\n", "a\nb\nx\n", "a\nc\nd\nx\n")]
#[case::removal("@@\n a\n-b\n c\n", "a\nb\nc\n", "a\nc\n")]
#[case::several("@@\n-a\n+1\n@@\n-c\n+3\n", "a\nb\nc\n", "1\nb\n3\n")]
#[case::several_of_one_kind_in_order("@@\n x\n-a\n+1\n@@\n-a\n+2\n", "x\na\na\n", "x\n1\n2\n")]
#[case::below_a_line("@@ g\n-a\n+1\n", "f\n a\na\ng\na\n", "f\n a\na\ng\n1\n")]
#[case::within_what_a_line_heads(
    "@@ def f():\n-  return\n+  pass\n",
    "def f():\n  return\ndef g():\n  return\n",
    "def f():\n  pass\ndef g():\n  return\n"
)]
#[case::within_braces(
    "@@ void f()\n-  return;\n+  ;\n",
    "void f()\n{\n  return;\n}\nvoid g()\n{\n  return;\n}\n",
    "void f()\n{\n  ;\n}\nvoid g()\n{\n  return;\n}\n"
)]
#[case::below_a_line_below_a_line(
    "@@ class B:\n@@   def f():\n-    a\n+    b\n",
    "class A:\n  def f():\n    a\nclass B:\n  def f():\n    a\n  def g():\n    a\n",
    "class A:\n  def f():\n    a\nclass B:\n  def f():\n    b\n  def g():\n    a\n"
)]
#[case::only_one_below_several_such_lines(
    "@@ f\n-b\n+c\n",
    "f\n a\nf\n b\nb\n",
    "f\n a\nf\n b\nc\n"
)]
#[case::at_the_end("@@\n-a\n+b\n*** End of File\n", "a\na\n", "a\nb\n")]
#[case::appended("@@\n+b\n*** End of File\n", "a\n", "a\nb\n")]
#[case::before_a_blank_line_at_the_end("@@\n+b\n\n*** End of File\n", "a\n\n", "a\nb\n\n")]
#[case::into_an_empty_file("@@\n+b\n", "", "b\n")]
#[case::to_an_empty_file("@@\n-b\n", "b\n", "")]
#[case::blank_line_of_context("@@\n a\n\n-b\n+c\n", "a\n\nb\n", "a\n\nc\n")]
#[case::blank_line_between_hunks("@@\n-a\n+1\n\n@@\n-c\n+3\n\n", "a\nb\nc\n", "1\nb\n3\n")]
#[case::blank_line_that_is_context("@@\n-a\n+1\n\n", "a\nx\na\n\n", "a\nx\n1\n\n")]
#[case::looks_like_a_marker(
    "@@\n *** End of it\n-a\n+b\n",
    "*** End of it\na\n",
    "*** End of it\nb\n"
)]
#[case::padded_end_within(
    "@@\n *** End Patch\n-a\n+b\n",
    "*** End Patch\na\n",
    "*** End Patch\nb\n"
)]
fn hunks_fit(#[case] hunks: &str, #[case] content: &str, #[case] expected: &str) {
    assert_eq!(updated(hunks, content), Ok(expected.to_owned()));
}

#[rstest]
#[case::no_final_newline_replaced("@@\n a\n-b\n+c\n", "a\nb", "a\nc")]
#[case::no_final_newline_added_first("@@\n a\n+c\n-b\n", "a\nb", "a\nc")]
#[case::no_final_newline_kept("@@\n-a\n+c\n b\n", "a\nb", "c\nb")]
#[case::no_final_newline_appended("@@\n b\n+c\n", "a\nb", "a\nb\nc")]
#[case::no_final_newline_removed("@@\n-b\n", "a\nb", "a\n")]
#[case::crlf("@@\n a\n-b\n+c\n+d\n", "a\r\nb\r\ne\r\n", "a\r\nc\r\nd\r\ne\r\n")]
#[case::crlf_without_a_final_one("@@\n b\n+c\n", "a\r\nb", "a\r\nb\r\nc")]
#[case::crlf_as_it_stands("@@\n a\r\n-b\r\n+c\r\n", "a\r\nb\r\n", "a\r\nc\r\n")]
#[case::crlf_made_lf("@@\n-a\r\n+a\n", "a\r\nb\r\n", "a\nb\r\n")]
#[case::each_as_around("@@\n-b\n+c\n", "a\nb\r\nd\n", "a\nc\r\nd\n")]
#[case::mark("@@\n-a\n+c\n", "\u{feff}a\nb\n", "\u{feff}c\nb\n")]
#[case::mark_removed("@@\n-\u{feff}a\n+a\n", "\u{feff}a\nb\n", "a\nb\n")]
#[case::context_as_in_the_file("@@\n a\n-b\n+c\n", "a  \nb\n", "a  \nc\n")]
fn what_the_patch_does_not_say_is_kept(
    #[case] hunks: &str,
    #[case] content: &str,
    #[case] expected: &str,
) {
    assert_eq!(updated(hunks, content), Ok(expected.to_owned()));
}

#[rstest]
#[case("a\nb\n", MatchLevel::Exact)]
#[case("a\r\nb\r\n", MatchLevel::LineEndings)]
#[case("\u{feff}a\nb\n", MatchLevel::LineEndings)]
#[case("a \nb\t\n", MatchLevel::TrailingBlanks)]
#[case("  a\n  b\n", MatchLevel::Blanks)]
#[case("a\u{a0}\nb\u{3000}\n", MatchLevel::Punctuation)]
fn the_strictest_match_is_reported(#[case] content: &str, #[case] level: MatchLevel) {
    let patch = wrapped("*** Update File: f\n@@\n a\n-b\n+c\n");
    let (_, places) = fit(patch.as_bytes(), content.as_bytes()).expect("it fits");
    assert_eq!(places, [(1, level)]);
}

#[rstest]
#[case::stricter_elsewhere("a\nb \nb\n", Ok("a\nb \nc\n"))]
#[case::twice_on_the_strictest_level("b \nb\nx\nb\n", Err("fits at line 2 and at line 4"))]
#[case::twice_on_a_lower_level("b \nb\t\n", Err("fits at line 1 and at line 2"))]
fn the_strictest_level_decides_and_has_to_be_unambiguous(
    #[case] content: &str,
    #[case] expected: Result<&str, &str>,
) {
    let found = updated("@@\n-b\n+c\n", content);
    match expected {
        Ok(expected) => assert_eq!(found.as_deref(), Ok(expected)),
        Err(words) => assert!(found.as_ref().is_err_and(|e| e.contains(words)), "{found:?}"),
    }
}

/// Each line's indentation in the file stays, and the added ones get what it shows.
#[rstest]
#[case::tabs_for_blanks(
    "@@ def f(x):\n         a()\n-        b = 1\n+        b = 2\n+        if b:\n+            c()\n         d\n",
    "def f(x):\n\tif x:\n\t\ta()\n\t\tb = 1\n\t\td\n",
    Ok("def f(x):\n\tif x:\n\t\ta()\n\t\tb = 2\n\t\tif b:\n\t\t\tc()\n\t\td\n")
)]
#[case::two_for_four(
    "@@\n def f():\n-  a()\n+  b()\n+    + 1\n",
    "def f():\n    a()\n",
    Ok("def f():\n    b()\n        + 1\n")
)]
#[case::flattened("@@\n a\n-b\n+c\n+  d\n", "    a\n    b\n", Ok("    a\n    c\n      d\n"))]
#[case::with_another_quote("@@\n-  'a'\n+  b\n", "\t\u{2018}a\u{2019}\n", Ok("\tb\n"))]
#[case::no_way(
    "@@\n   a\n-  b\n+  c\n",
    "    a\n      b\n",
    Err("and that of `  c` cannot be derived from it")
)]
#[case::either_way(
    "@@\n-  a\n+    c\n",
    "    a\n",
    Err("cannot be derived from it: write the hunk with")
)]
fn added_lines_are_indented_as_the_file_is_or_refused(
    #[case] hunks: &str,
    #[case] content: &str,
    #[case] expected: Result<&str, &str>,
) {
    let found = updated(hunks, content);
    match expected {
        Ok(expected) => assert_eq!(found.as_deref(), Ok(expected)),
        Err(words) => assert!(found.as_ref().is_err_and(|e| e.contains(words)), "{found:?}"),
    }
}

#[test]
fn punctuation_and_bytes_that_are_no_text() {
    let patch = wrapped("*** Update File: f\n@@\n \"a\" - 'b'\n-x\n+y\n");
    let content = "\u{201c}a\u{201d}\u{a0}\u{2013} \u{2018}b\u{2019}\nx\n";
    let (content, places) = fit(patch.as_bytes(), content.as_bytes()).expect("it fits");
    assert_eq!(places, [(1, MatchLevel::Punctuation)]);
    assert!(content.starts_with("\u{201c}a\u{201d}".as_bytes()), "the file's own stays");
    let patch = b"*** Begin Patch\n*** Update File: f\n \xff\x00\n-b\n+\xfe\n*** End Patch";
    let (content, places) = fit(patch, b"\xff\x00\nb\n").expect("it fits");
    assert_eq!((content, places), (b"\xff\x00\n\xfe\n".to_vec(), vec![(1, MatchLevel::Exact)]));
}

#[test]
fn a_patch_that_was_sent_with_crlf_fits_either_file() {
    let patch = wrapped("*** Update File: f\n@@\n a\n-b\n+c\n").replace('\n', "\r\n");
    let fitted = |content: &[u8]| fit(patch.as_bytes(), content).expect("it fits").0;
    assert_eq!(fitted(b"a\nb\n"), b"a\nc\n");
    assert_eq!(fitted(b"a\r\nb\r\n"), b"a\r\nc\r\n");
    let patch = wrapped("*** Update File: f\n@@\n+c\n*** End of File\n").replace('\n', "\r\n");
    assert_eq!(fit(patch.as_bytes(), b"a\n").expect("it fits").0, b"a\nc\n");
    let patch = wrapped("*** Add File: f\n+c\n").replace('\n', "\r\n");
    assert_eq!(fit(patch.as_bytes(), b"").expect("it fits").0, b"c\r\n", "as it was sent");
}

#[rstest]
#[case("\n\n  *** Begin Patch \n  *** Delete File:  f \n *** End Patch\t\n\n")]
#[case("<<'EOF'\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nEOF\n")]
#[case("<<EOF\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nEOF")]
#[case("apply_patch <<\"EOF\"\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nEOF\n")]
#[case("*** Begin Patch\r\n*** Delete File: f\r\n*** End Patch\r\n")]
#[case("*** Begin Patch\n*** Delete File: f\n*** End Patch")]
#[case("\u{feff}*** Begin Patch\n*** Delete File: f\n*** End Patch")]
fn what_codex_lets_pass_is_read(#[case] patch: &str) {
    assert_eq!(changes(patch.as_bytes()), Ok(vec![Change::Delete { path: b"f".to_vec() }]));
}

/// A patch of one file, with what stands around it.
const BODY: &str = "*** Begin Patch\n*** Delete File: f\n*** End Patch\n";

#[rstest]
#[case::any_word("apply_patch <<'PATCH'\n{}PATCH\n", "f")]
#[case::a_word_with_a_hyphen("<<'PATCH-1'\n{}PATCH-1\n", "f")]
#[case::a_blank_before_the_word("apply_patch << 'EOF'\n{}EOF\n", "f")]
#[case::a_word_behind_a_backslash("apply_patch <<\\EOF\n{}EOF\n", "f")]
#[case::without_its_last_word("apply_patch <<EOF\n{}", "f")]
#[case::piped("cat <<'EOF' | apply_patch\n{}EOF\n", "f")]
#[case::in_a_directory("cd src/x && apply_patch <<'EOF'\n{}EOF\n", "src/x/f")]
#[case::in_a_quoted_directory("cd 'a b'; apply_patch <<'EOF'\n{}EOF\n", "a b/f")]
#[case::in_a_directory_of_a_directory("cd a && cd ../b && apply_patch <<E\n{}E\n", "a/../b/f")]
#[case::in_an_absolute_directory("cd a && cd /w && apply_patch <<E\n{}E\n", "/w/f")]
#[case::fenced("```\n{}```\n", "f")]
#[case::fenced_with_a_word("~~~diff title\n{}~~~\n", "f")]
#[case::a_here_document_in_a_fence("```bash\napply_patch <<'EOF'\n{}EOF\n```\nDone.\n", "f")]
#[case::a_fence_below_a_command_in_prose("Not apply_patch <<E && make, but\n```\n{}```\n", "f")]
#[case::prose("I will delete it.\n\n{}\nThat is all:\n- one\n", "f")]
#[case::prose_that_shifts("so a << b\n{}", "f")]
fn what_stands_around_a_patch_is_passed_over(#[case] around: &str, #[case] path: &str) {
    let expected = vec![Change::Delete { path: path.into() }];
    let sent = around.replace("{}", BODY);
    assert_eq!(changes(sent.as_bytes()), Ok(expected.clone()));
    assert_eq!(changes(sent.replace('\n', "\r\n").as_bytes()), Ok(expected), "sent with CR LF");
}

#[test]
fn the_margin_of_a_patch_in_a_list_is_no_part_of_it() {
    let lines =
        ["*** Begin Patch", "*** Update File: f", "@@", "  a", "-b", "+  c", "*** End Patch"];
    let listed: String = lines.iter().map(|line| format!("   {line}\n")).collect();
    let patch = format!("1. So:\n   ```\n{listed}   ```\n");
    let (content, places) = fit(patch.as_bytes(), b" a\nb\n").expect("it fits");
    assert_eq!((content.as_slice(), places), (&b" a\n  c\n"[..], vec![(1, MatchLevel::Exact)]));
    assert_eq!(fit(listed.as_bytes(), b" a\nb\n").expect("it fits").0, b" a\n  c\n", "no fence");
    // Where not every line has the margin, blanks are the lines' own.
    let patch =
        "   ```\n   *** Begin Patch\n*** Update File: f\n@@\n    a\n-b\n+c\n*** End Patch\n";
    let (content, _) = fit(patch.as_bytes(), b"   a\nb\n").expect("it fits");
    assert_eq!(content, b"   a\nc\n");
}

#[test]
fn a_here_document_without_tabs_loses_those_at_the_beginnings_of_its_lines() {
    let patch = "apply_patch <<-EOF\n\t*** Begin Patch\n\t*** Update File: f\n\t\t@@\n\t \ta\n\t-b\n\t+\tc\n\t*** End Patch\n\tEOF\n";
    let (content, places) = fit(patch.as_bytes(), b"\ta\nb\n").expect("it fits");
    assert_eq!((content.as_slice(), places), (&b"\ta\n\tc\n"[..], vec![(1, MatchLevel::Exact)]));
}

#[test]
fn several_patches_in_one_text_are_one() {
    let text = format!("First:\n```\n{BODY}```\nthen:\ncd d && apply_patch <<'X'\n{BODY}X\n{BODY}");
    let delete = |path: &str| Change::Delete { path: path.into() };
    let twice = changes(text.as_bytes()).expect_err("`f` is deleted twice");
    assert!(twice.contains("`f` is changed twice"), "{twice}");
    let text = text.replacen("File: f", "File: g", 1);
    assert_eq!(changes(text.as_bytes()), Ok(vec![delete("g"), delete("d/f"), delete("f")]));
}

#[rstest]
#[case::cut_off("*** Begin Patch\n*** Add File: f\n+a\n", "the patch was cut off")]
#[case::nothing("*** Begin Patch\n*** End Patch\n", "the patch contains no change")]
#[case::a_command_behind(
    "<<EOF\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nEOF\nrm -r .\n",
    "`rm -r .` follows the here-document"
)]
#[case::a_command_before(
    "rm -r . && apply_patch <<EOF\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nEOF\n",
    "`rm -r . && apply_patch <<EOF` is not supported"
)]
#[case::another_command(
    "git apply <<EOF\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nEOF\n",
    "`git apply <<EOF` is not supported"
)]
#[case::a_command_behind_the_word(
    "apply_patch <<EOF && make\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nEOF\n",
    "is not supported"
)]
#[case::a_directory_that_a_shell_would_look_up(
    "cd \"$HOME\" && apply_patch <<EOF\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nEOF\n",
    "write it without variables"
)]
#[case::a_directory_of_a_user(
    "cd ~ && apply_patch <<EOF\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nEOF\n",
    "write it without variables"
)]
#[case::lines_behind_the_end(
    "*** Begin Patch\n*** Delete File: f\n*** End Patch\n*** Delete File: g\n",
    "`*** Delete File: g` follows `*** End Patch`"
)]
#[case::a_unified_diff_behind_the_end(
    "*** Begin Patch\n*** Delete File: f\n*** End Patch\na << b\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n",
    "follows `*** End Patch`"
)]
#[case::behind_a_unified_diff(
    "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n*** Begin Patch\n*** Delete File: f\n*** End Patch\n",
    "line 6 of the patch: a `*** Begin Patch` follows a unified diff"
)]
#[case::without_its_beginning(
    "Here:\n*** Update File: f\n@@\n-a\n+b\n*** End Patch\n",
    "line 2 of the patch: `*** Update File: f` has no `*** Begin Patch` above it"
)]
#[case::unknown_part(
    "*** Begin Patch\n*** Chmod File: f\n*** End Patch\n",
    "line 2 of the patch: `*** Chmod File: f` is not"
)]
#[case::unmarked_line(
    "*** Begin Patch\n*** Update File: f\n@@\n-a\nb\n*** End Patch\n",
    "line 5 of the patch: `b` should begin with a blank"
)]
#[case::line_without_its_plus(
    "*** Begin Patch\n*** Add File: f\n+a\nb\n*** End Patch\n",
    "line 4 of the patch: `b` lacks its `+`"
)]
#[case::no_head_behind_the_end(
    "*** Begin Patch\n*** Update File: f\n@@\n-a\n*** End of File\n-b\n*** End Patch\n",
    "should be `@@`"
)]
#[case::head_without_its_blank(
    "*** Begin Patch\n*** Update File: f\n@@x\n-a\n*** End Patch\n",
    "should be `@@` or `@@ `"
)]
#[case::no_lines(
    "*** Begin Patch\n*** Update File: f\n@@ x\n*** End Patch\n",
    "the hunk changes nothing"
)]
#[case::context_only(
    "*** Begin Patch\n*** Update File: f\n@@\n a\n*** End Patch\n",
    "the hunk changes nothing"
)]
#[case::no_hunks("*** Begin Patch\n*** Update File: f\n*** End Patch\n", "changes nothing")]
#[case::moved_onto_itself(
    "*** Begin Patch\n*** Update File: f\n*** Move to: f\n*** End Patch\n",
    "moved onto itself"
)]
#[case::no_name("*** Begin Patch\n*** Delete File: \n*** End Patch\n", "which is empty")]
#[case::nul("*** Begin Patch\n*** Delete File: a\0b\n*** End Patch\n", "holds a NUL")]
#[case::twice(
    "*** Begin Patch\n*** Update File: f\n-a\n+b\n*** Update File: f\n-b\n+c\n*** End Patch\n",
    "`f` is changed twice"
)]
#[case::created_twice(
    "*** Begin Patch\n*** Add File: f\n*** Add File: f\n*** End Patch\n",
    "`f` is changed twice"
)]
#[case::created_and_deleted(
    "*** Begin Patch\n*** Add File: f\n*** Delete File: f\n*** End Patch\n",
    "`f` is changed twice"
)]
#[case::moved_and_updated(
    "*** Begin Patch\n*** Update File: f\n*** Move to: g\n*** Update File: g\n-a\n+b\n*** End Patch\n",
    "`g` is changed twice"
)]
fn what_cannot_be_read_is_refused_in_words(#[case] patch: &str, #[case] words: &str) {
    let refusal = changes(patch.as_bytes()).expect_err("it is refused");
    assert!(refusal.contains(words), "{refusal}");
}

#[test]
fn a_file_that_is_deleted_may_be_written_anew() {
    let patch = wrapped("*** Delete File: f\n*** Add File: f\n+a\n");
    assert_eq!(changes(patch.as_bytes()).map(|changes| changes.len()), Ok(2));
}

#[rstest]
#[case::nowhere(
    "@@\n-x\n+y\n",
    "a\n",
    "hunk 1 (line 3 of the patch) does not fit: the file has no line `x`"
)]
#[case::nowhere_below_another(
    "@@\n-a\n+1\n@@\n-b\n+y\n",
    "b\na\nc\n",
    "hunk 2 (line 6 of the patch) does not fit: the file has no line `b` below line 2"
)]
#[case::no_head("@@ f\n-a\n+y\n", "a\n", "the file has no line `f`")]
#[case::not_below_its_head("@@ f\n-a\n+y\n", "a\nf\n", "the file has no line `a` below line 2")]
#[case::parts(
    "@@\n a\n b\n-c\n+y\n",
    "a\nx\na\nb\nd\n",
    "at line 5 it expects `c`, but the file has `d\\n`"
)]
#[case::ends(
    "@@\n a\n-b\n+y\n",
    "x\na\n",
    "at line 3 it expects `b`, but the file has the end of the file"
)]
#[case::not_at_the_end(
    "@@\n-a\n+y\n*** End of File\n",
    "a\nb\n",
    "at line 2 it expects `a`, but the file has `b\\n`"
)]
#[case::twice(
    "@@\n-a\n+y\n",
    "a\nb\na\n",
    "is ambiguous: it fits at line 1 and at line 3; give it more context"
)]
#[case::twice_within_its_head(
    "@@ f\n- a\n+ y\n",
    "f\n a\n a\ng\n",
    "is ambiguous: it fits at line 2 and at line 3"
)]
#[case::twice_below_heads_that_are_alike(
    "@@ f\n- a\n+ y\n",
    "f\n a\nf\n a\n",
    "is ambiguous: it fits at line 2 and at line 4"
)]
#[case::nowhere_to_put_it("@@\n+y\n", "a\n", "has no context that shows where its lines belong")]
#[case::nowhere_to_put_it_but_a_blank_line(
    "@@\n+y\n\n@@\n-c\n+d\n",
    "a\n\nc\n",
    "has no context that shows where its lines belong"
)]
#[case::blank_line_before_the_end_is_meant(
    "@@\n+y\n\n*** End of File\n",
    "a\n",
    "at line 1 it expects ``, but the file has `a\\n`"
)]
#[case::nowhere_to_put_it_below_its_head(
    "@@ a\n+y\n",
    "a\nb\n",
    "has no context that shows where its lines belong"
)]
fn what_does_not_fit_is_refused_in_words(
    #[case] hunks: &str,
    #[case] content: &str,
    #[case] words: &str,
) {
    let refusal = updated(hunks, content).expect_err("it does not fit");
    assert!(refusal.contains(words), "{refusal}");
}

/// Trying each place line by line, on each match level, would look at 5 * 10^10 lines here.
#[test]
fn context_that_nearly_matches_everywhere_does_not_cost_the_product() {
    let content = "a\n".repeat(200_000);
    let context = " a\n".repeat(50_000);
    let refusal = updated(&format!("@@\n{context}-b\n+c\n"), &content).expect_err("no `b`");
    assert!(refusal.contains("it expects `b`"), "{refusal}");
}

#[test]
fn many_hunks_over_a_long_file_end_with_a_limit() {
    let content: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let hunks: String = (1..5000).map(|n| format!("@@\n {n}\n+x\n")).collect();
    let refusal = updated(&hunks, &content).expect_err("the search is bounded");
    assert!(refusal.contains("is limited to 100000000"), "{refusal}");
}
