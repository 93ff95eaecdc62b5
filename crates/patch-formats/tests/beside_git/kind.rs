//! The kinds of differences between Greenroom and `git apply`.

/// Each kind of difference, with the words by which docs/patches.md lists it.
pub(crate) const LISTED: [(Kind, &str); 23] = [
    (
        Kind::LinkTarget,
        "A symbolic link (mode `120000`) is refused if its target ends in a newline",
    ),
    (
        Kind::BehindLink,
        "A part that changes a link without saying that it is one changes the file that the link leads to",
    ),
    (Kind::NewBehindLink, "A new file with a link's name is created where the link leads"),
    (Kind::ThroughLink, "Names may lead through symbolic links to directories"),
    (Kind::Directory, "A part that names a directory is refused"),
    (Kind::Order, "Parts may be in any order"),
    (Kind::NoContext, "A hunk without context must fit at its line"),
    (Kind::FinalNewline, "`\\ No newline at end of file` is accepted at the end of a file only"),
    (Kind::Time, "A time of 1970 means a missing file"),
    (Kind::SeveralPlaces, "A hunk that does not fit at its line must match exactly one place"),
    (
        Kind::Lines,
        "A hunk must have the number of lines that its header says, hunks must be in order",
    ),
    (Kind::Twice, "no file may be changed twice"),
    (Kind::CutOff, "A truncated patch is refused"),
    (Kind::TwoFiles, "A name that may mean two files is refused"),
    (Kind::Disagreeing, "names below `diff --git` that contradict each other"),
    (Kind::Names, "names with an empty part, `.` or `..`"),
    (Kind::Unsupported, "copies, binary patches, submodules"),
    (Kind::Mode, "a mode change from a mode that the file does not have"),
    (Kind::Headers, "Malformed headers are refused"),
    (Kind::Renames, "A rename or a new file never replaces a file. Renames in a circle"),
    (Kind::LineEnds, "A patch whose lines all end in LF fits lines that end in"),
    (Kind::Unprefixed, "Names without a prefix are accepted"),
    (Kind::Incomplete, "Headers may be incomplete"),
];

/// Why one takes a patch and the other does not. Where several may be why, the first one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    LinkTarget,
    BehindLink,
    NewBehindLink,
    ThroughLink,
    Directory,
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
