//! Mutated patches beside `git apply`: what both take gives the same files, and what only one takes
//! is of a kind that docs/cli.md lists.
//!
//! `PATCH_CASES=100000 cargo test -p patch-formats --test beside_git -- --nocapture` tries that many
//! and prints how many were of each kind; `PATCH_SEED` chooses others. Needs `git`.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use patch_formats::{
    Change, FilePatch, MatchLevel, MisfitError, ModeChange, PatchError, PatchText, Tree,
};

/// So many in every run of the tests.
const CASES: usize = 400;
const SEED: u64 = 20_261_128;

/// Each kind of difference, with the words by which docs/cli.md lists it.
const LISTED: [(Kind, &str); 18] = [
    (Kind::Order, "parts may stand in any order"),
    (Kind::NoContext, "a hunk without context has to be where it says"),
    (Kind::FinalNewline, "`\\ No newline at end of file` stands at the end of a file"),
    (Kind::Time, "a time of 1970 counts"),
    (Kind::SeveralPlaces, "a hunk that is not where it says has to match in exactly one place"),
    (Kind::Lines, "a hunk has exactly the lines that it says, hunks are in order"),
    (Kind::Twice, "no file is changed twice"),
    (Kind::CutOff, "a patch that was cut off is refused"),
    (Kind::TwoFiles, "names that may mean two files are refused"),
    (Kind::Disagreeing, "names below `diff --git`"),
    (Kind::Names, "names with an empty part, `.` or `..`"),
    (Kind::Unsupported, "copies, binary patches, symbolic links and submodules"),
    (Kind::Mode, "a change of mode from one that the file does not have"),
    (Kind::Headers, "header lines that are malformed"),
    (Kind::Renames, "a rename or a new file never replaces a file, and renames in a circle"),
    (Kind::LineEnds, "a patch whose lines all end in LF fits lines that end in"),
    (Kind::Unprefixed, "names without a prefix are taken"),
    (Kind::Incomplete, "headers may be incomplete"),
];

/// Why one takes a patch and the other does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Order,
    NoContext,
    FinalNewline,
    Time,
    SeveralPlaces,
    Lines,
    Twice,
    CutOff,
    TwoFiles,
    Disagreeing,
    Names,
    Unsupported,
    Mode,
    Headers,
    Renames,
    LineEnds,
    Unprefixed,
    Incomplete,
}

/// Content and whether it can be run, by name.
type Files = BTreeMap<String, (Vec<u8>, bool)>;

#[derive(Debug)]
struct Refused {
    kind: Option<Kind>,
    message: String,
}

impl From<PatchError> for Refused {
    fn from(error: PatchError) -> Self {
        let message = error.to_string();
        let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
        let kind = match error {
            PatchError::CutOff { .. } => Some(Kind::CutOff),
            PatchError::NamedTwice { .. } => Some(Kind::Twice),
            PatchError::TwoFiles { .. } => Some(Kind::TwoFiles),
            PatchError::BadName { .. } => Some(Kind::Names),
            PatchError::Unsupported { .. } => Some(Kind::Unsupported),
            PatchError::Malformed { .. } if says(&["does not follow"]) => Some(Kind::CutOff),
            PatchError::Malformed { .. } if says(&["lines than it says", "lacks", "overlaps"]) => {
                Some(Kind::Lines)
            }
            PatchError::Malformed { .. }
                if says(&["which the header above names", "a deletion needs"]) =>
            {
                Some(Kind::Disagreeing)
            }
            PatchError::Malformed { .. } => Some(Kind::Headers),
            _ => None,
        };
        Self { kind, message }
    }
}

impl From<MisfitError> for Refused {
    fn from(error: MisfitError) -> Self {
        let message = error.to_string();
        let kind = match error {
            MisfitError::Ambiguous { .. } => Some(Kind::SeveralPlaces),
            MisfitError::Misplaced { .. } if message.contains("bring them into order") => {
                Some(Kind::Lines)
            }
            MisfitError::Misplaced { .. } if message.contains("has no context") => {
                Some(Kind::NoContext)
            }
            MisfitError::Misplaced { .. }
                if message.contains("does not end") || message.contains("says that the file") =>
            {
                Some(Kind::FinalNewline)
            }
            MisfitError::NotFound { expected, found, .. }
                if format!("{}\\n`", expected.strip_suffix('`').unwrap_or(&expected)) == found =>
            {
                Some(Kind::FinalNewline)
            }
            _ => None,
        };
        Self { kind, message }
    }
}

fn refused<T>(kind: impl Into<Option<Kind>>, message: String) -> Result<T, Refused> {
    Err(Refused { kind: kind.into(), message })
}

struct Lookup<'f>(&'f Files);

impl<'f> Lookup<'f> {
    fn find(&self, name: &[u8]) -> Option<&'f (Vec<u8>, bool)> {
        self.0.get(std::str::from_utf8(name).ok()?)
    }
}

impl Tree for Lookup<'_> {
    type Content = Vec<u8>;
    type Error = Refused;

    fn has_file(&mut self, name: &[u8]) -> Result<bool, Refused> {
        Ok(self.find(name).is_some())
    }

    fn has_directory(&mut self, name: &[u8]) -> Result<bool, Refused> {
        let below = [name, b"/"].concat();
        Ok(self.0.keys().any(|file| file.as_bytes().starts_with(&below)))
    }

    fn content(&mut self, name: &[u8]) -> Result<Vec<u8>, Refused> {
        Ok(self.find(name).expect("it was asked for").0.clone())
    }
}

/// What comes of a patch here, and why git might not take it.
struct Taken {
    files: Files,
    lenient: BTreeSet<Kind>,
}

/// The files after the patch, by the rules of the staging layer.
fn ours(before: &Files, text: &[u8]) -> Result<Taken, Refused> {
    let patch = PatchText::parse(text)?;
    let mut lenient = BTreeSet::new();
    if memchr::memmem::find(text, b"\t1970-01-01").is_some() {
        lenient.insert(Kind::Time);
    }
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    if lines.any(|line| line.starts_with(b"diff --git ") && line.ends_with(b"\r\n")) {
        lenient.insert(Kind::LineEnds);
    }
    let mut parts = Vec::new();
    let changes = patch.resolve(&mut Lookup(before))?;
    for (file, change) in patch.files.iter().zip(changes) {
        let (content, run) = fitted(before, file, &change, &mut lenient)?;
        if change.source().is_some_and(|source| stands_unprefixed(text, source)) {
            lenient.insert(Kind::Unprefixed);
        }
        parts.push((change, content, run));
    }
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (mut sources, mut targets) = (BTreeSet::new(), BTreeSet::new());
    let mut moves = BTreeMap::new();
    for (change, ..) in &parts {
        let is_twice = change.source().is_some_and(|source| !sources.insert(name(source)))
            || change.target().is_some_and(|target| !targets.insert(name(target)));
        if is_twice {
            return refused(Kind::Twice, format!("{change:?} is changed twice"));
        }
        if let Change::Rename { from, to } = change {
            moves.insert(name(from), name(to));
        }
    }
    if targets.iter().any(|target| sources.contains(target) && !is_modified(&parts, target)) {
        lenient.insert(Kind::Order);
    }
    for first in moves.keys() {
        let mut next = &moves[first];
        while let Some(to) = moves.get(next) {
            if next == first {
                return refused(Kind::Renames, "renames in a circle".to_owned());
            }
            next = to;
        }
    }
    let mut files = before.clone();
    for (change, ..) in &parts {
        if let Change::Delete { path } | Change::Rename { from: path, .. } = change {
            files.remove(&name(path));
        }
    }
    for (change, content, run) in parts {
        let Some(target) = change.target().map(name) else { continue };
        let is_new = !matches!(change, Change::Modify { .. });
        if is_new && files.contains_key(&target) {
            return refused(Kind::Renames, format!("`{target}` is there"));
        }
        let lies_below = |low: &str, high: &str| low.starts_with(&format!("{high}/"));
        if files.keys().any(|file| lies_below(file, &target) || lies_below(&target, file)) {
            return refused(Kind::Renames, format!("`{target}` is in the way of a file"));
        }
        files.insert(target, (content, run));
    }
    Ok(Taken { files, lenient })
}

/// Whether a label of the patch is this name as it stands.
fn stands_unprefixed(text: &[u8], name: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| {
        let label = line.strip_prefix(b"--- ").or_else(|| line.strip_prefix(b"+++ "));
        let label = label.and_then(|label| label.split(|byte| *byte == b'\t').next());
        label == Some(name)
    })
}

fn is_modified(parts: &[(Change, Vec<u8>, bool)], name: &str) -> bool {
    let path = name.as_bytes().to_vec();
    parts.iter().any(|(change, ..)| *change == Change::Modify { path: path.clone() })
}

fn fitted(
    before: &Files,
    file: &FilePatch<'_>,
    change: &Change,
    lenient: &mut BTreeSet<Kind>,
) -> Result<(Vec<u8>, bool), Refused> {
    let found = match change.source() {
        None => None,
        Some(source) => match Lookup(before).find(source) {
            Some(found) => Some(found),
            None => return refused(None, format!("{change:?}: no such file")),
        },
    };
    let content = found.map_or(&b""[..], |(content, _)| content);
    let fitted = file.fit(content, false)?;
    if fitted.placements.iter().any(|place| place.level > MatchLevel::Exact) {
        lenient.insert(Kind::LineEnds);
    }
    if file.names_base(content) == Some(true) {
        lenient.insert(Kind::Incomplete);
    }
    let was_run = found.is_some_and(|(_, run)| *run);
    let run = match file.mode {
        None => was_run,
        Some(ModeChange::Executable(run)) if found.is_some() && run == was_run => {
            return refused(Kind::Mode, "it has this mode already".to_owned());
        }
        Some(ModeChange::Executable(run)) => run,
        Some(ModeChange::Exact { old: Some(old), .. })
            if old != if was_run { 0o755 } else { 0o644 } =>
        {
            return refused(Kind::Mode, "it has another mode".to_owned());
        }
        Some(ModeChange::Exact { new, .. }) => new & 0o100 != 0,
    };
    Ok((fitted.content, run))
}

/// A folder in which git applies patches, and what lies in it.
struct Git {
    folder: tempfile::TempDir,
    laid: Option<Files>,
}

impl Git {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made"), laid: None }
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        Command::new("git")
            .args(["-c", "core.safecrlf=false", "-c", "core.autocrlf=false"])
            .args(arguments)
            .current_dir(self.work())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CEILING_DIRECTORIES", self.folder.path())
            .output()
            .expect("git starts")
    }

    fn lay(&mut self, files: &Files) {
        if self.laid.as_ref() == Some(files) {
            return;
        }
        let work = self.work();
        if work.exists() {
            fs::remove_dir_all(&work).expect("it is ours");
        }
        fs::create_dir(&work).expect("it can be made");
        for (name, (content, run)) in files {
            let path = work.join(name);
            fs::create_dir_all(path.parent().expect("it has a folder")).expect("it can be made");
            fs::write(&path, content).expect("the file can be written");
            let mode = if *run { 0o755 } else { 0o644 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
        }
        self.laid = Some(files.clone());
    }

    /// The files after `git apply`; nothing when it refuses.
    fn apply(&mut self, before: &Files, patch: &[u8], strip: Option<&str>) -> Option<Files> {
        self.lay(before);
        fs::write(self.folder.path().join("p"), patch).expect("the patch can be written");
        let mut arguments = vec!["apply", "--whitespace=nowarn"];
        arguments.extend(strip);
        arguments.push("../p");
        if !self.run(&arguments).status.success() {
            return None;
        }
        self.laid = None;
        let mut files = Files::new();
        read(&self.work(), &self.work(), &mut files);
        Some(files)
    }

    /// `git diff` between two trees, and the same without prefixes.
    fn diff(&mut self, old: &Files, new: &Files) -> [Vec<u8>; 2] {
        let mut trees = Vec::new();
        let index = self.folder.path().join("index");
        for files in [old, new] {
            self.lay(files);
            self.laid = None;
            let _ = fs::remove_dir_all(self.work().join(".git"));
            let repository = self.folder.path().join("repository");
            let at = format!("--git-dir={}", repository.display());
            if !repository.exists() {
                self.run(&["init", "-q", "--bare", &repository.display().to_string()]);
            }
            let _ = fs::remove_file(&index);
            self.run(&[&at, "--work-tree=.", "add", "-A", "."]);
            let tree = self.run(&[&at, "--work-tree=.", "write-tree"]).stdout;
            trees.push(String::from_utf8(tree).expect("an id is text").trim().to_owned());
        }
        let at = format!("--git-dir={}", self.folder.path().join("repository").display());
        ["--default-prefix", "--no-prefix"].map(|prefix| {
            self.run(&[&at, "diff", "-M", "--text", prefix, &trees[0], &trees[1]]).stdout
        })
    }
}

fn read(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(root, &path, files);
            continue;
        }
        let name = path.strip_prefix(root).expect("it lies there").to_string_lossy().into_owned();
        let run = fs::metadata(&path).expect("a file").permissions().mode() & 0o100 != 0;
        files.insert(name, (fs::read(&path).expect("a file"), run));
    }
}

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("it is less than a usize")
    }

    fn pick<'p, T>(&mut self, of: &'p [T]) -> &'p T {
        &of[self.below(of.len())]
    }
}

/// Contents of lines that repeat, with every kind of end.
fn content(random: &mut Random) -> Vec<u8> {
    const LINES: [&[u8]; 12] = [
        b"a\n",
        b"b\n",
        b"\n",
        b"c\r\n",
        b"}\n",
        b"-- x\n",
        b"++ y\n",
        b" z\n",
        b"@@ -1 +1 @@\n",
        b"\xff\xfe\n",
        b"line\n",
        b"    return\n",
    ];
    let mut content = Vec::new();
    for number in 0..random.below(24) {
        match random.below(3) {
            0 => content.extend_from_slice(LINES[random.below(LINES.len())]),
            _ => content.extend_from_slice(format!("line {number}\n").as_bytes()),
        }
    }
    if random.below(6) == 0 {
        content.extend_from_slice(b"no end");
    }
    content
}

fn edited(random: &mut Random, content: &[u8]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> =
        content.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    for _ in 0..=random.below(3) {
        let at = random.below(lines.len() + 1);
        match random.below(3) {
            0 if at < lines.len() => {
                lines.remove(at);
            }
            1 if at < lines.len() => lines[at] = b"changed\n".to_vec(),
            _ => lines.insert(at, b"added\n".to_vec()),
        }
    }
    lines.concat()
}

const NAMES: [&str; 9] =
    ["f", "d/f", "d/e/f", "a/f", "b/f", "name with blanks", "n\u{e4}me", "g", "d/g.orig"];

/// Two trees with something of everything between them.
fn trees(random: &mut Random) -> (Files, Files) {
    let mut before = Files::new();
    for name in NAMES {
        if random.below(3) > 0 {
            before.insert(name.to_owned(), (content(random), random.below(4) == 0));
        }
    }
    let mut after = before.clone();
    for name in NAMES {
        let Some((content, run)) = before.get(name) else {
            if random.below(5) == 0 {
                after.insert(name.to_owned(), (self::content(random), random.below(4) == 0));
            }
            continue;
        };
        match random.below(8) {
            0 => {
                after.remove(name);
            }
            1 => {
                after.insert(name.to_owned(), (content.clone(), !run));
            }
            2 => {
                after.remove(name);
                let content =
                    if random.below(2) == 0 { content.clone() } else { edited(random, content) };
                after.insert(format!("{}-moved", name.replace('/', "-")), (content, *run));
            }
            3..=5 => {
                after.insert(name.to_owned(), (edited(random, content), *run));
            }
            _ => {}
        }
    }
    (before, after)
}

/// The same patch as other programs write it.
fn restyled(random: &mut Random, [git, bare]: &[Vec<u8>; 2]) -> Vec<u8> {
    let heads = [
        &b"diff "[..],
        b"index ",
        b"new file",
        b"deleted",
        b"old mode",
        b"new mode",
        b"similarity",
        b"rename",
    ];
    let plain = |patch: &[u8]| -> Vec<u8> {
        let lines = patch.split_inclusive(|byte| *byte == b'\n');
        lines
            .filter(|line| !heads.iter().any(|head| line.starts_with(head)))
            .collect::<Vec<_>>()
            .concat()
    };
    let labelled = |patch: &[u8], old: &str, new: &str, behind: &str| -> Vec<u8> {
        let mut out = Vec::new();
        for line in plain(patch).split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            if let Some(name) = text.strip_prefix(b"--- a/") {
                out.extend([b"--- ", old.as_bytes(), name, behind.as_bytes(), b"\n"].concat());
            } else if let Some(name) = text.strip_prefix(b"+++ b/") {
                out.extend([b"+++ ", new.as_bytes(), name, behind.as_bytes(), b"\n"].concat());
            } else {
                out.extend_from_slice(line);
            }
        }
        out
    };
    match random.below(12) {
        0 => bare.clone(),
        1 => plain(bare),
        2 => plain(git),
        3 => labelled(git, "old/", "new/", "\t2026-11-28 10:00:00.000000000 +0100"),
        4 => labelled(git, "tool-1.0.orig/", "tool-1.0/", " 2026-11-28 10:00:00"),
        5 => labelled(git, "a/", "a/", ""),
        6 => labelled(git, "./", "./", ""),
        7 => [b"Here it is:\n\n```diff\n", git.as_slice(), b"```\n\nThat is all.\n"].concat(),
        _ => git.clone(),
    }
}

/// Something that people, models and transports do to a patch.
fn mutate(random: &mut Random, patch: &mut Vec<u8>, files: &mut Files) {
    if patch.is_empty() {
        return;
    }
    let at = random.below(patch.len());
    let mut lines: Vec<Vec<u8>> =
        patch.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let line = random.below(lines.len());
    let header = |lines: &[Vec<u8>], heads: &[&[u8]], random: &mut Random| {
        let found: Vec<usize> = (0..lines.len())
            .filter(|at| heads.iter().any(|head| lines[*at].starts_with(head)))
            .collect();
        (!found.is_empty()).then(|| *random.pick(&found))
    };
    match random.below(20) {
        0 => patch[at] = (random.next() & 0xff) as u8,
        1 => patch.insert(at, *random.pick(b"\n\r\t +-@\\/\".0a")),
        2 => {
            patch.remove(at);
        }
        3 => patch.truncate(at),
        4 => {
            lines.remove(line);
            *patch = lines.concat();
        }
        5 => {
            lines.insert(line, lines[line].clone());
            *patch = lines.concat();
        }
        6 => {
            let other = random.below(lines.len());
            lines.swap(line, other);
            *patch = lines.concat();
        }
        7 | 8 => {
            // Line numbers and counts are what breaks most often.
            if let Some(line) = header(&lines, &[b"@@ -"], random) {
                let digits: Vec<usize> =
                    (0..lines[line].len()).filter(|at| lines[line][*at].is_ascii_digit()).collect();
                lines[line][*random.pick(&digits)] = b'0' + (random.next() % 10) as u8;
                *patch = lines.concat();
            }
        }
        9 => {
            if let Some(line) = header(&lines, &[b"index "], random) {
                let with = [
                    &b"index 1234567..abcdefg 100644\n"[..],
                    b"index e69de29\n",
                    b"index 1234567...89abcde 100644\n",
                    b"index XXXXXXX..YYYYYYY\n",
                    b"",
                ];
                lines[line] = random.pick(&with).to_vec();
                *patch = lines.concat();
            }
        }
        10 | 11 => {
            if let Some(line) = header(&lines, &[b"--- ", b"+++ ", b"diff --git "], random) {
                let text = String::from_utf8_lossy(&lines[line]).into_owned();
                let with = [
                    ("a/", "b/"),
                    ("b/", "a/"),
                    ("a/", ""),
                    ("b/", ""),
                    ("a/", "x/"),
                    ("b/", "x/"),
                    ("a/", "./"),
                    ("/dev/null", "a/f"),
                    (" a/", " /dev/null"),
                    ("\n", ".orig\n"),
                    ("\n", "\t1970-01-01 00:00:00 +0000\n"),
                    ("\n", " 2026-01-01 00:00:00\n"),
                    ("f", "g"),
                    ("d/", ""),
                ];
                let (old, new) = random.pick(&with);
                lines[line] = text.replacen(old, new, 1).into_bytes();
                *patch = lines.concat();
            }
        }
        12 => {
            let heads = [
                &b"new file mode"[..],
                b"deleted file mode",
                b"diff --git ",
                b"similarity",
                b"rename from",
                b"old mode",
            ];
            if let Some(line) = header(&lines, &heads, random) {
                lines.remove(line);
                *patch = lines.concat();
            }
        }
        13 => {
            let with = [
                &b"Some prose.\n"[..],
                b"\n",
                b"diff --git a/f b/f\n",
                b"@@ -1 +1 @@\n",
                b"\\ No newline at end of file\n",
                b"-- \n",
                b"--- a/f\n",
                b"```\n",
            ];
            lines.insert(line, random.pick(&with).to_vec());
            *patch = lines.concat();
        }
        14 => {
            let sent = lines.iter().map(|line| match line.strip_suffix(b"\n") {
                Some(text) => [text, b"\r\n"].concat(),
                None => line.clone(),
            });
            *patch = sent.collect::<Vec<_>>().concat();
        }
        15 => {
            let name = (*random.pick(&NAMES)).to_owned();
            files.insert(name, (content(random), false));
        }
        16 => {
            let names: Vec<String> = files.keys().cloned().collect();
            if !names.is_empty() {
                files.remove(random.pick(&names));
            }
        }
        _ => {
            let names: Vec<String> = files.keys().cloned().collect();
            if !names.is_empty() {
                let name = random.pick(&names);
                if let Some((content, _)) = files.get_mut(name) {
                    *content = edited(random, content);
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    taken_by_both: usize,
    refused_by_both: usize,
    only_git: BTreeMap<Kind, usize>,
    only_greenroom: BTreeMap<Kind, usize>,
    /// Taken by both, and by git as here with `-p0` alone.
    unprefixed: usize,
}

/// Compares one patch; the difference when it is of no listed kind.
fn compare(git: &mut Git, before: &Files, patch: &[u8], counts: &mut Counts) -> Result<(), String> {
    let (here, there) = (ours(before, patch), git.apply(before, patch, None));
    match (here, there) {
        (Ok(here), Some(there)) if here.files == there => counts.taken_by_both += 1,
        (Err(_), None) => counts.refused_by_both += 1,
        (Err(Refused { kind: Some(kind), .. }), Some(_)) => {
            *counts.only_git.entry(kind).or_default() += 1;
        }
        (Err(refused), Some(_)) => return Err(format!("only git takes it: {}", refused.message)),
        (Ok(here), there) => {
            let is_unprefixed = ["-p0", "-p1"]
                .iter()
                .any(|p| git.apply(before, patch, Some(p)) == Some(here.files.clone()));
            match (there, here.lenient.first()) {
                (Some(_), _) if is_unprefixed => counts.unprefixed += 1,
                (Some(there), _) => {
                    return Err(format!(
                        "git makes of it {}, not {}",
                        shown(&there),
                        shown(&here.files)
                    ));
                }
                (None, _) if is_unprefixed => {
                    *counts.only_greenroom.entry(Kind::Unprefixed).or_default() += 1;
                }
                (None, Some(kind)) => *counts.only_greenroom.entry(*kind).or_default() += 1,
                (None, None) => {
                    return Err(format!("only Greenroom takes it: {}", shown(&here.files)));
                }
            }
        }
    }
    Ok(())
}

fn shown(files: &Files) -> String {
    let shown = files.iter().map(|(name, (content, run))| {
        format!("  {name}{}: {}\n", if *run { "*" } else { "" }, content.escape_ascii())
    });
    format!("\n{}", shown.collect::<String>())
}

#[test]
fn mutated_patches_give_what_git_apply_gives_but_for_the_listed_differences() {
    if !Command::new("git").arg("--version").output().is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: there is no git here");
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let asked = number("PATCH_CASES");
    let cases = asked.map_or(CASES, |cases| usize::try_from(cases).expect("a number of cases"));
    let mut random = Random(number("PATCH_SEED").unwrap_or(SEED));
    let (mut git, mut counts) = (Git::new(), Counts::default());
    let mut world = (Files::new(), [Vec::new(), Vec::new()]);
    let mut unlisted = Vec::new();
    for case in 0..cases {
        if case % 40 == 0 {
            let (before, after) = trees(&mut random);
            let diffs = git.diff(&before, &after);
            world = (before, diffs);
        }
        let mut before = world.0.clone();
        let mut patch = restyled(&mut random, &world.1);
        for _ in 0..random.below(3) {
            mutate(&mut random, &mut patch, &mut before);
        }
        if let Err(difference) = compare(&mut git, &before, &patch, &mut counts) {
            unlisted.push(format!(
                "case {case}: {difference}\nthe patch:\n{}\nthe files:{}",
                String::from_utf8_lossy(&patch).escape_debug().to_string().replace("\\n", "\n"),
                shown(&before)
            ));
            if asked.is_some() {
                println!("{}\n", unlisted[unlisted.len() - 1]);
            }
        }
    }
    if asked.is_some() {
        println!("{counts:#?}");
    }
    let (count, first) = (unlisted.len(), unlisted.iter().take(5).cloned().collect::<Vec<_>>());
    assert!(count == 0, "{count} unlisted differences:\n{}", first.join("\n\n"));
    let is_telling = counts.taken_by_both * 5 > cases && counts.refused_by_both * 20 > cases;
    assert!(is_telling, "too few are taken or refused by both: {counts:?}");
}

#[test]
fn every_kind_of_difference_is_listed_in_the_documentation() {
    let text =
        include_str!("../../../docs/cli.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for (kind, words) in LISTED {
        assert!(text.contains(words), "{kind:?}: docs/cli.md lacks {words:?}");
    }
}
