//! The kinds of differences between Greenroom and `git apply`.

/// Each kind of difference, with the words by which docs/cli.md lists it.
pub(crate) const LISTED: [(Kind, &str); 23] = [
    (Kind::LinkTarget, "a symbolic link (mode `120000`) whose target ends in a newline"),
    (
        Kind::BehindLink,
        "A part that names a link without saying that it is one changes the file behind it",
    ),
    (Kind::NewBehindLink, "a new file of a link's name comes to be where the link leads"),
    (Kind::ThroughLink, "names may lead through symbolic links to directories"),
    (Kind::Directory, "a part that names a directory is refused"),
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
    (Kind::Unsupported, "copies, binary patches and submodules"),
    (Kind::Mode, "a change of mode from one that the file does not have"),
    (Kind::Headers, "header lines that are malformed"),
    (Kind::Renames, "a rename or a new file never replaces a file, and renames in a circle"),
    (Kind::LineEnds, "a patch whose lines all end in LF fits lines that end in"),
    (Kind::Unprefixed, "names without a prefix are taken"),
    (Kind::Incomplete, "headers may be incomplete"),
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
