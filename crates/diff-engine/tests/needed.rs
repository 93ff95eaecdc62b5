//! Which other libraries a plugin may need: the system's own, from where the system has them.
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod libraries;

use std::fs;

use diff_engine::{
    ChildLimits, Library, LoadError, LoadedStrategy, PluginHost, inspect_library, load_library,
};
use libraries::{install, library, myers, path_of};
use object::elf;
use object::endian::NativeEndian;
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use rstest::rstest;

type Header = elf::FileHeader64<NativeEndian>;

/// The longest names that a library of ours has in its table and does not need.
const SPARE: [&[u8]; 2] = [b"_ITM_deregisterTMCloneTable\0", b"_ITM_registerTMCloneTable\0"];

/// A library of ours, with other things in its table of contents.
struct Patched(Vec<u8>);

impl Patched {
    fn new() -> Self {
        Self(myers())
    }

    /// Each program header's place, and what it says.
    fn programs(&self) -> Vec<(usize, elf::ProgramHeader64<NativeEndian>)> {
        let header = Header::parse(&self.0[..]).expect("it is one");
        let programs = header.program_headers(NativeEndian, &self.0[..]).expect("it has them");
        let start = header.e_phoff.get(NativeEndian) as usize;
        (start..).step_by(size_of_val(&programs[0])).zip(programs.iter().copied()).collect()
    }

    fn program(&self, kind: elf::ProgramType) -> (usize, elf::ProgramHeader64<NativeEndian>) {
        let found = self.programs().into_iter().find(|(_, one)| one.p_type(NativeEndian) == kind);
        found.expect("a library has one of it")
    }

    fn loads(&self) -> Vec<(usize, elf::ProgramHeader64<NativeEndian>)> {
        let is_mapped = |one: &elf::ProgramHeader64<_>| one.p_type(NativeEndian) == elf::PT_LOAD;
        self.programs().into_iter().filter(|(_, one)| is_mapped(one)).collect()
    }

    fn number(&mut self, at: usize, number: u64) {
        self.0[at..at + 8].copy_from_slice(&number.to_ne_bytes());
    }

    /// The place in the file of the first dynamic entry of a kind.
    fn entry(&self, tag: elf::DynamicTag) -> usize {
        let (_, dynamic) = self.program(elf::PT_DYNAMIC);
        let start = dynamic.p_offset(NativeEndian) as usize;
        let is_it = |at: &usize| self.0[*at..*at + 8] == tag.0.to_ne_bytes();
        (start..).step_by(16).find(is_it).expect("it has one")
    }

    fn value(&self, tag: elf::DynamicTag) -> u64 {
        let at = self.entry(tag) + 8;
        u64::from_ne_bytes(self.0[at..at + 8].try_into().expect("8 bytes"))
    }

    /// Puts a name into the table of names; its place there.
    fn name(&mut self, name: &str) -> u64 {
        // The table lies in the first segment, whose addresses are its offsets.
        let start = self.value(elf::DT_STRTAB) as usize;
        let table = &self.0[start..start + self.value(elf::DT_STRSZ) as usize];
        let place = |spare: &[u8]| Some((memchr::memmem::find(table, spare)?, spare.len()));
        let (at, room) = SPARE.into_iter().find_map(place).expect("two is all that there are");
        assert!(name.len() < room, "there is no room for {name}");
        let spare = &mut self.0[start + at..start + at + room];
        spare.fill(0);
        spare[..name.len()].copy_from_slice(name.as_bytes());
        at as u64
    }

    /// Makes the first dynamic entry of a kind another one.
    fn set(&mut self, tag: elf::DynamicTag, other: elf::DynamicTag, value: u64) {
        let at = self.entry(tag);
        self.number(at, other.0 as u64);
        self.number(at + 8, value);
    }

    fn load(&self) -> Result<LoadedStrategy, LoadError> {
        let installed = install(&self.0);
        load_library(&installed.path, &installed.trust)
    }

    fn refusal(&self) -> String {
        self.load().expect_err("it must be refused").to_string()
    }
}

#[rstest]
#[case::another("libevil.so.1")]
#[case::of_the_distribution("libstdc++.so.6")]
#[case::with_a_path("/lib/libm.so.6")]
#[case::with_a_relative_path("./libm.so.6")]
#[case::beside_the_plugin("$ORIGIN/libm.so.6")]
#[case::another_case("LIBM.so.6")]
#[case::more_behind_it("libm.so.6x")]
#[case::more_behind_the_stem("libmx.so.6")]
#[case::more_before_it("xlibm.so.6")]
#[case::a_path_behind_the_loader("ld-linux/../evil.so.2")]
#[case::no_library("libm")]
#[case::none("")]
fn a_library_that_needs_another_is_refused(#[case] name: &str) {
    let mut patched = Patched::new();
    let place = patched.name(name);
    patched.set(elf::DT_NEEDED, elf::DT_NEEDED, place);
    match patched.load().expect_err("it must be refused") {
        LoadError::NeedsAnotherLibrary { needs, .. } => assert_eq!(needs, name),
        error => panic!("{error}"),
    }
}

#[test]
fn the_refusal_names_the_library_and_the_remedy_on_one_line() {
    let mut patched = Patched::new();
    let place = patched.name("lib\x1b[31m\n\u{202e}.so");
    patched.set(elf::DT_NEEDED, elf::DT_NEEDED, place);
    let said = patched.refusal();
    assert!(said.contains(r"the library lib\u{1b}[31m\n\u{202e}.so,"), "{said}");
    assert!(said.ends_with("link that into it statically"), "{said}");
}

#[rstest]
#[case::mathematics("libm.so.6")]
#[case::threads("libpthread.so.0")]
#[case::loading("libdl.so.2")]
#[case::time("librt.so.1")]
fn a_library_that_needs_the_systems_own_is_loaded(#[case] name: &str) {
    if cfg!(not(target_env = "gnu")) {
        return;
    }
    let mut patched = Patched::new();
    let place = patched.name(name);
    // In the place of an entry that only makes loading quicker.
    patched.set(elf::DT_RELACOUNT, elf::DT_NEEDED, place);
    patched.load().expect("the system has it");
}

/// Every kind of entry by which some loader loads another library.
#[rstest]
#[case::auxiliary(elf::DT_AUXILIARY)]
#[case::filter(elf::DT_FILTER)]
#[case::audit(elf::DT_AUDIT)]
#[case::audit_of_what_it_needs(elf::DT_DEPAUDIT)]
#[case::configuration(elf::DT_CONFIG)]
fn a_library_that_names_another_in_any_way_is_refused(#[case] tag: elf::DynamicTag) {
    let mut patched = Patched::new();
    let place = patched.name("libevil.so.1");
    patched.set(elf::DT_RELACOUNT, tag, place);
    assert!(patched.refusal().contains("it needs the library libevil.so.1"));
}

/// The loader goes by addresses; what the file's offsets say must not hide anything from who checks.
#[test]
fn a_library_with_one_table_for_readers_and_one_for_the_loader_is_refused() {
    let mut patched = Patched::new();
    let place = patched.name("libevil.so.1");
    patched.set(elf::DT_NEEDED, elf::DT_NEEDED, place);
    let (at, dynamic) = patched.program(elf::PT_DYNAMIC);
    // The same table without its first entry.
    patched.number(at + 0x08, dynamic.p_offset(NativeEndian) + 16);
    patched.number(at + 0x20, dynamic.p_filesz(NativeEndian) - 16);
    assert!(patched.refusal().contains("it needs the library libevil.so.1"));
}

#[rstest]
#[case::two_dynamic_sections("two dynamic sections", |patched: &mut Patched| {
    let (_, dynamic) = patched.program(elf::PT_DYNAMIC);
    let (note, _) = patched.program(elf::PT_NOTE);
    let bytes = object::bytes_of(&dynamic).to_vec();
    patched.0[note..note + bytes.len()].copy_from_slice(&bytes);
})]
#[case::two_tables_of_names("two tables of names", |patched: &mut Patched| {
    let names = patched.value(elf::DT_STRTAB);
    patched.set(elf::DT_RELACOUNT, elf::DT_STRTAB, names);
})]
#[case::a_segment_over_another("segments that overlap", |patched: &mut Patched| {
    let (at, second) = patched.loads()[1];
    patched.number(at + 0x10, second.p_vaddr(NativeEndian) - 0x1000);
})]
#[case::a_segment_out_of_step("segments that overlap", |patched: &mut Patched| {
    let (at, last) = *patched.loads().last().expect("it has some");
    patched.number(at + 0x08, last.p_offset(NativeEndian) - 8);
})]
#[case::a_name_outside("a table that is not in it", |patched: &mut Patched| {
    patched.set(elf::DT_NEEDED, elf::DT_NEEDED, 1 << 40);
})]
#[case::a_name_that_wraps("a name outside", |patched: &mut Patched| {
    patched.set(elf::DT_NEEDED, elf::DT_NEEDED, u64::MAX);
})]
#[case::a_table_outside("a table that is not in it", |patched: &mut Patched| {
    let (at, _) = patched.program(elf::PT_DYNAMIC);
    patched.number(at + 0x10, 1 << 40);
})]
#[case::a_table_without_end("a dynamic section without end", |patched: &mut Patched| {
    let (_, dynamic) = patched.program(elf::PT_DYNAMIC);
    let start = dynamic.p_offset(NativeEndian) as usize;
    let holds = |one: &elf::ProgramHeader64<NativeEndian>| {
        let (from, to) = (one.p_offset(NativeEndian), one.p_filesz(NativeEndian));
        (from..from + to).contains(&(start as u64))
    };
    let (_, load) = patched.loads().into_iter().find(|(_, one)| holds(one)).expect("mapped");
    let end = (load.p_offset(NativeEndian) + load.p_filesz(NativeEndian)) as usize;
    for at in (start..end).step_by(16).filter(|at| at + 8 <= end) {
        if patched.0[at..at + 8] == [0; 8] {
            patched.number(at, 0x6000_0000);
        }
    }
})]
fn a_library_that_no_linker_writes_is_refused(
    #[case] what: &str,
    #[case] patch: impl FnOnce(&mut Patched),
) {
    let mut patched = Patched::new();
    patch(&mut patched);
    let said = patched.refusal();
    assert!(said.contains(&format!("it has {what}, which no linker writes")), "{said}");
}

/// The system's own libraries come from the system, whatever the plugin says about where to look.
#[test]
fn a_library_beside_the_plugin_is_not_taken_for_the_systems_own() {
    let beside = tempfile::Builder::new().prefix("g").rand_bytes(8).tempdir_in("/tmp");
    let beside = beside.expect("a temporary folder can be made");
    let crashing = library("libcrashing_plugin.so", &["--example", "crashing_plugin"]);
    // One that nothing here has loaded before.
    fs::write(beside.path().join("librt.so.1"), crashing).expect("it is new");
    let mut patched = Patched::new();
    let folder = patched.name(beside.path().to_str().expect("a plain path"));
    patched.set(elf::DT_RELACOUNT, elf::DT_RUNPATH, folder);
    let needed = patched.name("librt.so.1");
    patched.set(elf::DT_FLAGS_1, elf::DT_NEEDED, needed);
    let installed = install(&patched.0);
    let (path, trust) = (installed.path.clone(), installed.trust.clone());
    let program = path_of("plugin_host", &["--example", "plugin_host"]);
    let found = inspect_library(
        &PluginHost { program, arguments: Vec::new() },
        &Library { name: String::new(), path, trust },
        ChildLimits::default(),
    );
    assert_eq!(found.expect("its constructor would have ended the process").0, "myers");
}
