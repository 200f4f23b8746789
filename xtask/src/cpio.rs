//! An initial file system for the guest, in the `newc` format of cpio.
//!
//! The format is described in the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`.
//! Written here and not with `cpio`, because a device node in an archive needs no privileges, and one
//! on a disk does.

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER: u32 = 0o020_000;

/// An archive being written.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    pub fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, (0, 0), b"");
    }

    pub fn file(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.entry(path, REGULAR | mode, (0, 0), contents);
    }

    pub fn symlink(&mut self, path: &str, to: &str) {
        self.entry(path, SYMLINK | 0o777, (0, 0), to.as_bytes());
    }

    pub fn character_device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path, CHARACTER | 0o600, (major, minor), b"");
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.inode = 0;
        self.entry("TRAILER!!!", 0, (0, 0), b"");
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, (major, minor): (u32, u32), contents: &[u8]) {
        let links = if mode & DIRECTORY != 0 { 2 } else { 1 };
        let size =
            u32::try_from(contents.len()).expect("devscope bug: 4 GiB in one file of the guest");
        // ino mode uid gid nlink mtime filesize maj min rmaj rmin namesize check
        let fields = [
            self.inode,
            mode,
            0,
            0,
            links,
            0,
            size,
            0,
            0,
            major,
            minor,
            path.len() as u32 + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
        self.inode += 1;
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_laid_out_as_the_format_says() {
        let mut archive = Archive::default();
        archive.file("a", 0o644, b"hello");
        let bytes = archive.finish();
        let header = "070701\
            00000000000081a400000000000000000000000100000000\
            000000050000000000000000000000000000000000000002\
            00000000";
        assert_eq!(&bytes[..110], header.as_bytes());
        // The name with its NUL ends at 112, a multiple of four; so do the contents with padding.
        assert_eq!(&bytes[110..120], b"a\0hello\0\0\0");
        assert_eq!(&bytes[120..126], b"070701");
    }

    #[test]
    fn every_entry_begins_on_a_multiple_of_four() {
        let mut archive = Archive::default();
        for length in 0..9 {
            archive.file(&"n".repeat(length + 1), 0o600, &vec![b'x'; length]);
            assert!(archive.bytes.len().is_multiple_of(4));
        }
    }

    #[test]
    fn a_device_node_carries_its_numbers() {
        let mut archive = Archive::default();
        archive.character_device("dev/console", 5, 1);
        let text = String::from_utf8_lossy(&archive.bytes).into_owned();
        assert_eq!(&text[14..22], "00002180");
        assert_eq!(&text[78..94], "0000000500000001");
    }

    /// cpio itself is the better judge, where it is installed.
    #[test]
    fn cpio_reads_it() {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let mut archive = Archive::default();
        archive.directory("dir");
        archive.file("dir/file", 0o755, b"contents");
        archive.symlink("link", "dir/file");
        let Ok(mut cpio) = Command::new("cpio")
            .args(["--list", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            return;
        };
        cpio.stdin
            .take()
            .unwrap()
            .write_all(&archive.finish())
            .unwrap();
        let list = cpio.wait_with_output().unwrap();
        assert!(list.status.success());
        assert_eq!(
            String::from_utf8_lossy(&list.stdout),
            "dir\ndir/file\nlink\n"
        );
    }
}
