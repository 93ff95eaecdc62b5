//! What patches look like.

mod common;

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use common::{Case, engine};
use diff_engine::{
    BinaryMode, Content, DiffEngine, FileChange, FileHeader, Policy, RenderOptions, Side, quote,
};
use rstest::rstest;

fn shown(case: Case<'_>) -> String {
    String::from_utf8(case.patch(&engine("histogram"))).expect("the case is text")
}

#[test]
fn hunks_merge_when_six_lines_or_fewer_lie_between() {
    insta::assert_snapshot!(shown(Case::modify(
        b"file",
        b"a\n1\n2\n3\n4\n5\n6\nb\n1\n2\n3\n4\n5\n6\n7\nc\n",
        b"A\n1\n2\n3\n4\n5\n6\nB\n1\n2\n3\n4\n5\n6\n7\nC\n",
    )), @r#"
diff --git a/file b/file
--- a/file
+++ b/file
@@ -1,11 +1,11 @@
-a
+A
 1
 2
 3
 4
 5
 6
-b
+B
 1
 2
 3
@@ -13,4 +13,4 @@ b
 5
 6
 7
-c
+C
"#);
}

#[test]
fn a_missing_final_newline_is_marked_on_each_side_that_lacks_it() {
    insta::assert_snapshot!(shown(Case::modify(b"both", b"a\nb", b"a\nc")), @r#"
diff --git a/both b/both
--- a/both
+++ b/both
@@ -1,2 +1,2 @@
 a
-b
\ No newline at end of file
+c
\ No newline at end of file
"#);
    insta::assert_snapshot!(shown(Case::modify(b"old", b"a", b"a\n")), @r#"
diff --git a/old b/old
--- a/old
+++ b/old
@@ -1 +1 @@
-a
\ No newline at end of file
+a
"#);
    insta::assert_snapshot!(shown(Case::modify(b"context", b"a\nb", b"A\nb")), @r#"
diff --git a/context b/context
--- a/context
+++ b/context
@@ -1,2 +1,2 @@
-a
+A
 b
\ No newline at end of file
"#);
}

#[test]
fn files_that_come_and_go_have_extended_headers() {
    insta::assert_snapshot!(shown(Case::create(b"new", b"a\nb\n")), @r#"
diff --git a/new b/new
new file mode 100644
--- /dev/null
+++ b/new
@@ -0,0 +1,2 @@
+a
+b
"#);
    insta::assert_snapshot!(shown(Case::create(b"empty one", b"")), @r#"
diff --git "a/empty one" "b/empty one"
new file mode 100644
index 0000000..e69de29
"#);
    insta::assert_snapshot!(shown(Case::delete(b"gone", b"a")), @r#"
diff --git a/gone b/gone
deleted file mode 100644
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-a
\ No newline at end of file
"#);
    insta::assert_snapshot!(shown(Case::delete(b"empty", b"")), @r#"
diff --git a/empty b/empty
deleted file mode 100644
index e69de29..0000000
"#);
}

#[test]
fn emptied_and_filled_files_stand_after_line_0() {
    insta::assert_snapshot!(shown(Case::modify(b"file", b"a\nb\n", b"")), @r#"
diff --git a/file b/file
--- a/file
+++ b/file
@@ -1,2 +0,0 @@
-a
-b
"#);
    insta::assert_snapshot!(shown(Case::modify(b"file", b"", b"a\n")), @r#"
diff --git a/file b/file
--- a/file
+++ b/file
@@ -0,0 +1 @@
+a
"#);
}

#[test]
fn renames_tell_how_much_is_kept() {
    insta::assert_snapshot!(shown(Case::rename(b"from", b"to", b"a\n", b"a\n")), @r#"
diff --git a/from b/to
similarity index 100%
rename from from
rename to to
"#);
    insta::assert_snapshot!(shown(Case::rename(b"from", b"to", b"a\nb\nc\nd\n", b"a\nb\nc\nD\n")), @r#"
diff --git a/from b/to
similarity index 75%
rename from from
rename to to
--- a/from
+++ b/to
@@ -1,4 +1,4 @@
 a
 b
 c
-d
+D
"#);
}

#[test]
fn names_are_quoted_as_git_does() {
    insta::assert_snapshot!(shown(Case::modify(b"two words", b"a\n", b"b\n")).replace('\t', "<TAB>"), @r#"
diff --git a/two words b/two words
--- a/two words<TAB>
+++ b/two words<TAB>
@@ -1 +1 @@
-a
+b
"#);
    insta::assert_snapshot!(shown(Case::modify("\t\"\\\n\u{7}ä ".as_bytes(), b"a\n", b"b\n")), @r#"
diff --git "a/\t\"\\\n\a\303\244 " "b/\t\"\\\n\a\303\244 "
--- "a/\t\"\\\n\a\303\244 "
+++ "b/\t\"\\\n\a\303\244 "
@@ -1 +1 @@
-a
+b
"#);
    assert_eq!(quote(b"a\x01\xff"), br#""a\001\377""#);
}

#[rstest]
#[case::executable(0o644, 0o755, "100644", "100755")]
#[case::no_longer(0o755, 0o644, "100755", "100644")]
#[case::private_executable(0o600, 0o700, "100644", "100755")]
#[case::less_private(0o600, 0o640, "100600", "100640")]
#[case::more_private(0o644, 0o600, "100644", "100600")]
#[case::both_at_once(0o600, 0o755, "100600", "100755")]
#[case::setgid(0o755, 0o2755, "100755", "102755")]
fn modes_that_git_lacks_are_written_in_full(
    #[case] old: u32,
    #[case] new: u32,
    #[case] old_shown: &str,
    #[case] new_shown: &str,
) {
    assert_eq!(
        shown(Case::mode(b"file", b"a\n", (old, new))),
        format!("diff --git a/file b/file\nold mode {old_shown}\nnew mode {new_shown}\n")
    );
}

#[test]
fn nothing_is_written_for_no_change() {
    assert_eq!(shown(Case::modify(b"file", b"a\n", b"a\n")), "");
    assert_eq!(shown(Case::mode(b"file", b"a\n", (0o644, 0o644))), "");
    assert_eq!(shown(Case::modify(b"file", b"\0", b"\0")), "");
}

#[test]
fn contexts_can_be_chosen() {
    let case = Case::modify(b"file", b"1\n2\n3\n4\n5\n", b"1\n2\nX\n4\n5\n");
    let options = RenderOptions { context_lines: Some(0), ..RenderOptions::default() };
    let patch = case.patch_with(&engine("histogram"), &options);
    insta::assert_snapshot!(String::from_utf8_lossy(&patch), @r#"
diff --git a/file b/file
--- a/file
+++ b/file
@@ -3 +3 @@
-3
+X
"#);
}

#[test]
fn a_context_without_end_shows_the_whole_file() {
    let case = Case::modify(b"file", b"1\n2\n3\n4\n5\n", b"X\n2\n3\n4\nY\n");
    let options = RenderOptions { context_lines: Some(u32::MAX), ..RenderOptions::default() };
    let patch = case.patch_with(&engine("histogram"), &options);
    assert!(patch.ends_with(b"@@ -1,5 +1,5 @@\n-1\n+X\n 2\n 3\n 4\n-5\n+Y\n"));
}

#[test]
fn binary_contents_are_patched_as_git_does() {
    insta::assert_snapshot!(shown(Case::modify(b"file", b"\0old", b"\0new")), @r#"
diff --git a/file b/file
index e7be1ea5722fddec13dbce5018dc1056c0dd3fdb..f9e371ff2657e5d2bd4389e3b323fe0550e3a860
GIT binary patch
literal 4
Lc${O%ODzWg0*?Vp

literal 4
Lc${O%&q)CQ0*wJc
"#);
    insta::assert_snapshot!(shown(Case::create(b"file", b"\0")), @r#"
diff --git a/file b/file
new file mode 100644
index 0000000000000000000000000000000000000000..f76dd238ade08917e6712764a16a22005a50573d
GIT binary patch
literal 1
Ic${MZ000310RR91

literal 0
Hc$@<O00001
"#);
}

#[test]
fn binary_and_large_contents_can_be_described() {
    let engine = DiffEngine::bundled(Policy { size_max_bytes: 4, ..Policy::default() });
    let options = RenderOptions { binary: BinaryMode::Describe, ..RenderOptions::default() };
    let mut out = Vec::new();
    for (path, old, new) in [
        (&b"binary"[..], Side::Text(&b"\0"[..]), Side::Text(&b"\0\0"[..])),
        (b"too large", Side::TooLarge { bytes: 1 << 40 }, Side::Text(b"a\n")),
    ] {
        let header = FileHeader {
            old_digest: Some("01ab"),
            new_digest: Some("02cd"),
            ..FileHeader::new(FileChange::Modify { path })
        };
        let diff = engine.diff(old, new);
        engine
            .render(&header, &diff, old, new, &options, &mut out)
            .expect("writing to memory works");
    }
    insta::assert_snapshot!(String::from_utf8_lossy(&out), @r#"
diff --git a/binary b/binary
Binary files a/binary and b/binary differ
# old: 1 bytes, blake3 01ab
# new: 2 bytes, blake3 02cd
diff --git "a/too large" "b/too large"
Files a/too large and b/too large differ
# old: 1099511627776 bytes, blake3 01ab
# new: 2 bytes, blake3 02cd
"#);
}

#[test]
fn contents_that_were_not_loaded_are_asked_for() {
    let engine = engine("histogram");
    let (old, new) = (Side::Text(&b"a\n"[..]), Side::TooLarge { bytes: 1 << 40 });
    let header = FileHeader::new(FileChange::Modify { path: b"file" });
    let diff = engine.diff(old, new);
    let error = engine
        .render(&header, &diff, old, new, &RenderOptions::default(), &mut io::sink())
        .expect_err("the content is not there");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

/// Gives 7 bytes at a time, so that a boundary is everywhere.
struct Trickle<'a>(Cursor<&'a [u8]>);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(7);
        self.0.read(&mut buffer[..length])
    }
}

impl Seek for Trickle<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[rstest]
#[case::text(b"a\nb\nc", b"a\nB\nc\n")]
#[case::long_lines(&[b'x'; 1000], &[b'y'; 999])]
#[case::binary(b"\0a", b"b\n")]
#[case::emptied(b"a\n", b"")]
fn streamed_and_loaded_contents_give_the_same_patch(#[case] old: &[u8], #[case] new: &[u8]) {
    let engine = DiffEngine::bundled(Policy { size_max_bytes: 0, ..Policy::default() });
    let case = Case::modify(b"file", old, new);
    let mut streamed = Vec::new();
    let (mut old, mut new) = (Trickle(Cursor::new(old)), Trickle(Cursor::new(new)));
    engine
        .render_whole_file(
            &case.header(),
            Some(&mut old as &mut dyn Content),
            Some(&mut new as &mut dyn Content),
            &RenderOptions::default(),
            &mut streamed,
        )
        .expect("reading and writing memory works");
    assert_eq!(streamed, case.patch(&engine));
}

#[test]
fn an_inserted_function_stands_by_itself() {
    insta::assert_snapshot!(shown(Case::modify(
        b"file.rs",
        b"fn a() {\n    x();\n}\n\nfn c() {\n    x();\n}\n",
        b"fn a() {\n    x();\n}\n\nfn b() {\n    x();\n}\n\nfn c() {\n    x();\n}\n",
    )), @r#"
diff --git a/file.rs b/file.rs
--- a/file.rs
+++ b/file.rs
@@ -2,6 +2,10 @@ fn a() {
     x();
 }
 
+fn b() {
+    x();
+}
+
 fn c() {
     x();
 }
"#);
    insta::assert_snapshot!(shown(Case::modify(
        b"file.c",
        b"int f() {\n\tfor (;;) {\n\t\tone();\n\t}\n\tfor (;;) {\n\t\ttwo();\n\t}\n}\n",
        b"int f() {\n\tfor (;;) {\n\t\ttwo();\n\t}\n}\n",
    )), @r#"
diff --git a/file.c b/file.c
--- a/file.c
+++ b/file.c
@@ -1,7 +1,4 @@
 int f() {
-	for (;;) {
-		one();
-	}
 	for (;;) {
 		two();
 	}
"#);
}
