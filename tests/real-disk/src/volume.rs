//! File systems to try things on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A directory on some file system, unmounted when it is dropped.
pub(super) struct Volume {
    /// What to call it.
    pub name: &'static str,
    /// The directory.
    pub folder: PathBuf,
    /// Directories below `folder/tree` that lie on other file systems.
    pub inner: Vec<PathBuf>,
    /// In the order in which they were mounted.
    mounts: Vec<PathBuf>,
}

impl Drop for Volume {
    fn drop(&mut self) {
        for mount in self.mounts.iter().rev() {
            let unmounted = Command::new("umount").arg(mount).status();
            if !unmounted.is_ok_and(|status| status.success()) {
                eprintln!("{} stays mounted", mount.display());
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} stays: {error}", self.folder.display());
        }
    }
}

/// Smaller than this XFS cannot be made.
const IMAGE_BYTES: u64 = 320 << 20;

/// Each file system there is, or why it cannot be had. Made as the caller goes on.
pub(super) fn all(
    scratch: &Path,
) -> impl Iterator<Item = (&'static str, Result<Volume, String>)> + '_ {
    some(&["the target folder's", "ext4", "xfs", "btrfs", "tmpfs", "three mounts"], scratch)
}

/// These file systems, in the same way.
pub(super) fn some<'s>(
    names: &'s [&'static str],
    scratch: &'s Path,
) -> impl Iterator<Item = (&'static str, Result<Volume, String>)> + 's {
    names.iter().map(move |name| {
        let folder = scratch.join(name.replace(['\'', ' '], "-"));
        let mut volume = Volume { name, folder, inner: Vec::new(), mounts: Vec::new() };
        let made = fs::create_dir_all(&volume.folder)
            .map_err(|error| error.to_string())
            .and_then(|()| volume.make(scratch, IMAGE_BYTES));
        (*name, made.map(|()| volume))
    })
}

/// A small ext4, that fills up.
pub(super) fn small(scratch: &Path, bytes: u64) -> Result<Volume, String> {
    let name = "a small ext4";
    let folder = scratch.join("small");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut volume = Volume { name, folder, inner: Vec::new(), mounts: Vec::new() };
    let mount_point = volume.folder.clone();
    volume.mount_image("ext4", &scratch.join("small.img"), bytes, &mount_point)?;
    Ok(volume)
}

/// Makes a file system in a file.
pub(super) fn make_image(kind: &str, image: &Path) -> Result<(), String> {
    make_image_of(kind, image, IMAGE_BYTES)
}

fn make_image_of(kind: &str, image: &Path, bytes: u64) -> Result<(), String> {
    let file = fs::File::create(image).map_err(|error| error.to_string())?;
    file.set_len(bytes).map_err(|error| error.to_string())?;
    run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(image))
}

/// Mounts a file system that lies in a file. The file stays.
pub(super) fn of_image(
    name: &'static str,
    image: &Path,
    mount_point: &Path,
) -> Result<Volume, String> {
    fs::create_dir_all(mount_point).map_err(|error| error.to_string())?;
    let folder = mount_point.to_owned();
    let mut volume = Volume { name, folder, inner: Vec::new(), mounts: Vec::new() };
    volume.mount(&["-o", "loop", &image.display().to_string()], mount_point)?;
    Ok(volume)
}

impl Volume {
    fn make(&mut self, scratch: &Path, bytes: u64) -> Result<(), String> {
        let folder = self.folder.clone();
        match self.name {
            "ext4" | "xfs" | "btrfs" => {
                let image = scratch.join(format!("{}.img", self.name));
                self.mount_image(self.name, &image, bytes, &folder)
            }
            "tmpfs" => self.mount(&["-t", "tmpfs", "none"], &folder),
            "three mounts" => {
                self.mount_image("ext4", &scratch.join("outer.img"), bytes, &folder)?;
                let (ext4, tmpfs) = (folder.join("tree/inner"), folder.join("tree/memory"));
                for inner in [&ext4, &tmpfs] {
                    fs::create_dir_all(inner).map_err(|error| error.to_string())?;
                }
                self.mount_image("ext4", &scratch.join("inner.img"), bytes, &ext4)?;
                self.mount(&["-t", "tmpfs", "none"], &tmpfs)?;
                self.inner = vec![ext4, tmpfs];
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn mount_image(
        &mut self,
        kind: &str,
        image: &Path,
        bytes: u64,
        mount_point: &Path,
    ) -> Result<(), String> {
        make_image_of(kind, image, bytes)?;
        let image = image.display().to_string();
        self.mount(&["-o", "loop", &image], mount_point)?;
        match fs::remove_dir(mount_point.join("lost+found")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    fn mount(&mut self, arguments: &[&str], mount_point: &Path) -> Result<(), String> {
        run(Command::new("mount").args(arguments).arg(mount_point))?;
        self.mounts.push(mount_point.to_owned());
        Ok(())
    }

    /// Mounts it again with other options.
    pub(super) fn remount(&self, option: &str) -> Result<(), String> {
        let option = format!("remount,{option}");
        run(Command::new("mount").args(["-o", &option]).arg(&self.folder))
    }
}

/// Runs a command; the error is one line.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).output() {
        Err(error) => Err(format!("`{program}` cannot be run: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("`{program}`: {}", said.lines().next().unwrap_or("failed")))
        }
    }
}

/// Whether a program can be started.
pub(super) fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}
