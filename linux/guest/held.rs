//! A program holds an operation inside its driver for as long as it likes, while the device is unbound.
//!
//! `write()` copies from memory that is not there yet, so the driver sleeps in the middle of its
//! `write_iter()` until another thread brings the page (userfaultfd). No wait queue of the scope lets it go.
//! It is how one makes a race in the kernel as wide as one likes.

use crate::storm::{check_factorial, expect_old_file_is_dead, COUNT};
use crate::sys::{
    control, expect_gone, ioctl, join_within, mmap, munmap, syscall, wait_for, Device, Module,
    Result, Watch, EAGAIN, O_NONBLOCK,
};
use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::thread;

const PAGE: usize = 4096;

const SYS_USERFAULTFD: c_long = 323;
/// `UFFDIO_API`, `UFFDIO_REGISTER` and `UFFDIO_COPY` of `include/uapi/linux/userfaultfd.h`.
const API: c_ulong = 0xc018_aa3f;
const REGISTER: c_ulong = 0xc020_aa00;
const COPY: c_ulong = 0xc028_aa03;
/// The version of the interface.
const VERSION: u64 = 0xaa;
/// Faults of pages that are missing.
const MISSING: u64 = 1;

/// A page that is not there until it is brought. Whoever touches it sleeps.
struct Page {
    address: *mut c_void,
    faults: File,
}

// SAFETY: The address is given to the kernel only, which bears any thread.
unsafe impl Send for Page {}
// SAFETY: As above.
unsafe impl Sync for Page {}

impl Page {
    fn missing() -> Result<Self> {
        let failed = |what: &str| format!("{what}: {}", io::Error::last_os_error());
        // SAFETY: userfaultfd() takes flags.
        let faults = unsafe { syscall(SYS_USERFAULTFD, O_NONBLOCK) };
        if faults < 0 {
            return Err(failed("userfaultfd()"));
        }
        // SAFETY: It was just opened, and nobody else has it.
        let faults = unsafe { File::from_raw_fd(faults as c_int) };
        // PROT_READ | PROT_WRITE; MAP_PRIVATE | MAP_ANONYMOUS
        // SAFETY: A new mapping, at an address that the kernel chooses.
        let address = unsafe { mmap(ptr::null_mut(), PAGE, 3, 0x22, -1, 0) };
        if address as isize == -1 {
            return Err(failed("mmap()"));
        }
        let page = Self { address, faults };
        page.ask("UFFDIO_API", API, &mut [VERSION, 0, 0])?;
        let range = [address as u64, PAGE as u64];
        page.ask(
            "UFFDIO_REGISTER",
            REGISTER,
            &mut [range[0], range[1], MISSING, 0],
        )?;
        Ok(page)
    }

    fn ask(&self, what: &str, request: c_ulong, argument: &mut [u64]) -> Result {
        // SAFETY: Each request takes a pointer to so many words; `COPY` reads a page as well, which its caller
        // has.
        match unsafe { ioctl(self.faults.as_raw_fd(), request, argument.as_mut_ptr()) } {
            0 => Ok(()),
            _ => Err(format!("{what}: {}", io::Error::last_os_error())),
        }
    }

    /// Waits until somebody sleeps for it.
    fn wait_until_wanted(&self) -> Result {
        let mut message = [0; 32];
        wait_for("the driver to want the page", || {
            match (&self.faults).read(&mut message) {
                Ok(_) => Ok(Some(())),
                Err(error) if error.raw_os_error() == Some(EAGAIN) => Ok(None),
                Err(error) => Err(format!("userfaultfd: {error}")),
            }
        })
    }

    /// Brings it, with `text` at its beginning.
    fn bring(&self, text: &[u8]) -> Result {
        let mut from = [0_u8; PAGE];
        from[..text.len()].copy_from_slice(text);
        let mut copy = [self.address as u64, from.as_ptr() as u64, PAGE as u64, 0, 0];
        self.ask("UFFDIO_COPY", COPY, &mut copy)
    }

    /// The first `length` bytes, for the kernel to read.
    fn bytes(&self, length: usize) -> &[u8] {
        // SAFETY: Mapped for as long as `self`, and written once, by the kernel, before anybody has read it.
        unsafe { slice::from_raw_parts(self.address.cast(), length) }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: Mapped with this size, and not used again.
        unsafe { munmap(self.address, PAGE) };
    }
}

pub fn run() -> Result<String> {
    let module = Module::with_devscope("edu");
    let device = Device::find("edu")?;
    module.load("")?;
    let file = Arc::new(device.open()?);
    let page = Arc::new(Page::missing()?);
    let writer = {
        let (file, page) = (file.clone(), page.clone());
        thread::spawn(move || (&*file).write(page.bytes(2)))
    };
    page.wait_until_wanted()?;

    let mut watch = Watch::start()?;
    let unbinding = {
        let device = device.clone();
        thread::spawn(move || device.unbind())
    };
    let told = wait_for("the log to say what unbinding waits for", || {
        let waits = watch.hear("edu: unbinding has waited");
        Ok((waits.is_some() || unbinding.is_finished()).then_some(waits))
    })?;
    let gone = expect_gone("ioctl() while it waits", control(&file, COUNT, 0));
    let early = unbinding.is_finished();
    // Whatever was found, nobody is left behind.
    page.bring(b"5\n")?;
    let wrote = join_within("the write()", writer)?;
    join_within("unbind", unbinding)??;
    if early {
        return Err("the device was unbound while a write() was inside".into());
    }
    gone?;
    let told = told.unwrap_or_default();
    if !told.contains(" for write() of ") {
        return Err(format!(
            "the log does not say that it waits for a write(): {told}"
        ));
    }
    match wrote {
        Ok(2) => {}
        other => return Err(format!("write() gave {other:?}, wanted 2")),
    }
    expect_old_file_is_dead(&file)?;
    drop(file);
    device.bind()?;
    check_factorial(&device.open()?, 5, "120")?;
    module.unload()?;
    Ok(format!("said: {told}"))
}
