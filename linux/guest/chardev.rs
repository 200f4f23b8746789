//! `examples/chardev`: what programs expect of files, and what becomes of their mappings.

use crate::storm;
use crate::sys::{
    self, control, expect_gone, ioctl, join_within, mmap, munmap, open_node, poll_for, say,
    wait_for, Device, Module, Result, EAGAIN, EINVAL, O_NONBLOCK, POLLERR, POLLHUP, POLLIN,
};
use std::arch::asm;
use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::thread;

const EINTR: i32 = 4;
const EACCES: i32 = 13;
pub const EFAULT: i32 = 14;
pub const ENOTTY: i32 = 25;
const ENOSPC: i32 = 28;
pub const ESPIPE: i32 = 29;
pub const EOPNOTSUPP: i32 = 95;

const SIGBUS: c_int = 7;
const SIGALRM: c_int = 14;

/// `_IOR('c', 1, u32)`: copies the generation to where the argument points.
const GENERATION: c_ulong = 0x8004_6301;
/// `_IO('c', 2)`: sets the generation forth.
const ADVANCE: c_ulong = 0x6302;
/// `_IO('c', 3)`: sleeps for so many milliseconds.
const NAP: c_ulong = 0x6303;
/// `_IO('c', 4)`: how often the data was synced.
const SYNCS: c_ulong = 0x6304;
/// `_IO('c', 5)`: its argument.
const ECHO: c_ulong = 0x6305;

const PAGE: usize = 4096;
/// Where the registers are in the file.
const REGISTERS: i64 = 0x100 * PAGE as i64;

const READ: c_int = 1;
const READ_WRITE: c_int = 3;
const SHARED: c_int = 1;
const PRIVATE: c_int = 2;

/// The storm takes edu away ten times as often.
const SHARE: u32 = 10;

#[repr(C)]
struct IoVec {
    base: *mut c_void,
    len: usize,
}

extern "C" {
    fn read(fd: c_int, to: *mut u8, len: usize) -> isize;
    fn write(fd: c_int, from: *const c_void, len: usize) -> isize;
    fn preadv2(fd: c_int, iov: *const IoVec, count: c_int, offset: i64, flags: c_int) -> isize;
    fn mremap(address: *mut c_void, old: usize, new: usize, flags: c_int, ...) -> *mut c_void;
    fn mprotect(address: *mut c_void, length: usize, protection: c_int) -> c_int;
    fn pipe(fds: *mut c_int) -> c_int;
    fn close(fd: c_int) -> c_int;
    fn fork() -> c_int;
    fn _exit(status: c_int) -> !;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn signal(number: c_int, handler: extern "C" fn(c_int)) -> usize;
    fn siginterrupt(number: c_int, interrupts: c_int) -> c_int;
    fn alarm(seconds: c_uint) -> c_uint;
}

/// The data node of a device.
fn data_node(device: &Device) -> PathBuf {
    let mut name = device.node().into_os_string();
    name.push("-data");
    name.into()
}

/// What has to work whenever the device is bound.
pub fn works(device: &Device) -> Result {
    let mut data = open_node(&data_node(device))?;
    let map = Map::new(&data, 0, 1, READ_WRITE, SHARED).map_err(|e| format!("mmap(): {e}"))?;
    data.write_all(b"1234")
        .map_err(|e| format!("write(): {e}"))?;
    match map.get(0) {
        word if word == u32::from_ne_bytes(*b"1234") => Ok(()),
        word => Err(format!("what was written is mapped as {word:#x}")),
    }
}

/// Calls of programs under load.
pub fn advance(file: &File) -> io::Result<u64> {
    control(file, ADVANCE, 0)
}

pub fn wait_for_news(mut file: &File) -> io::Result<u64> {
    file.read(&mut [0; 4]).map(|n| n as u64)
}

pub fn run() -> Result<String> {
    let cycles = storm::cycles()?.div_ceil(SHARE);
    let (module, device) = (Module::with_devscope("chardev"), Device::find("chardev")?);
    module.load("")?;
    for (what, check) in CHECKS {
        check(&device).map_err(|why| format!("{what}: {why}"))?;
        say(&format!("seen={what}"));
    }
    for cycle in 1..=cycles {
        mappings_are_taken_away(&device).map_err(|why| format!("cycle {cycle}: {why}"))?;
    }
    module.unload()?;
    sys::leaks()?;
    Ok(format!(
        "{} checks, and {cycles} unbinds with mappings in four places",
        CHECKS.len()
    ))
}

type Check = fn(&Device) -> Result;

const CHECKS: &[(&str, Check)] = &[
    ("a write is read and mapped", works),
    ("positions and short reads", positions_and_short_reads),
    ("bad memory is EFAULT", bad_memory),
    ("what cannot be done", what_cannot_be_done),
    ("calls that must not sleep", calls_that_must_not_sleep),
    ("signals", signals),
    ("32 bits", programs_of_32_bits),
    ("what can be mapped", what_can_be_mapped),
    ("an operation that takes its time", a_nap_is_reported),
    ("a number that is used again", a_number_is_used_again),
    ("the module stays while mapped", a_mapping_keeps_the_module),
];

pub fn errno<T>(result: io::Result<T>) -> i32 {
    result.err().and_then(|e| e.raw_os_error()).unwrap_or(0)
}

pub fn expect<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, wanted: T) -> Result {
    if seen == wanted {
        Ok(())
    } else {
        Err(format!("{what} gave {seen:?}, wanted {wanted:?}"))
    }
}

fn positions_and_short_reads(device: &Device) -> Result {
    let mut data = open_node(&data_node(device))?;
    let at = |e: io::Error| e.to_string();
    expect(
        "lseek",
        data.seek(SeekFrom::End(-3)).map_err(at)?,
        PAGE as u64 - 3,
    )?;
    expect("a short write", data.write(b"abcdef").map_err(at)?, 3)?;
    expect("a write at the end", errno(data.write(b"d")), ENOSPC)?;
    expect(
        "lseek",
        data.seek(SeekFrom::Current(-5)).map_err(at)?,
        PAGE as u64 - 5,
    )?;
    let mut text = [1; 8];
    expect("a short read", data.read(&mut text).map_err(at)?, 5)?;
    expect("the end", &text[2..], b"abc\x01\x01\x01")?;
    expect("a read at the end", data.read(&mut text).map_err(at)?, 0)?;
    expect(
        "lseek beyond the end",
        errno(data.seek(SeekFrom::End(1))),
        EINVAL,
    )?;
    data.sync_all().map_err(|e| format!("fsync(): {e}"))?;
    let control_file = device.open()?;
    expect("syncs", control(&control_file, SYNCS, 0).map_err(at)?, 1)
}

fn bad_memory(device: &Device) -> Result {
    let nowhere = ptr::without_provenance_mut::<u8>(8);
    let data = open_node(&data_node(device))?;
    // SAFETY: The kernel looks whether the address is good; it is not.
    let said = unsafe { read(data.as_raw_fd(), nowhere, 1) };
    expect("read() to nowhere", (said, last()), (-1, EFAULT))?;
    // SAFETY: As above.
    let said = unsafe { write(data.as_raw_fd(), nowhere.cast(), 1) };
    expect("write() from nowhere", (said, last()), (-1, EFAULT))?;
    let file = device.open()?;
    expect(
        "ioctl() with nowhere",
        errno(control(&file, GENERATION, 8)),
        EFAULT,
    )?;
    // Half of the buffer is there: as much as that is read.
    let room = Map::anonymous(2).map_err(|e| format!("mmap(): {e}"))?;
    // SAFETY: The second page is ours, and not used any more.
    unsafe { munmap(room.0.byte_add(PAGE).cast(), PAGE) };
    // SAFETY: The kernel looks how much of the buffer is there.
    let said = unsafe { read(data.as_raw_fd(), room.0.cast::<u8>().add(PAGE - 100), 200) };
    expect("read() to a buffer that ends", said, 100)
}

fn last() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn what_cannot_be_done(device: &Device) -> Result {
    let mut file = device.open()?;
    expect("lseek()", errno(file.seek(SeekFrom::Start(0))), ESPIPE)?;
    expect("fsync()", errno(file.sync_all()), EINVAL)?;
    expect(
        "mmap()",
        errno(Map::new(&file, 0, 1, READ, SHARED)),
        sys::ENODEV,
    )?;
    expect("ioctl()", errno(control(&file, 0x63ff, 0)), ENOTTY)?;
    let data = open_node(&data_node(device))?;
    expect(
        "RWF_NOWAIT",
        read_nowait(&data, &mut [0; 4]),
        Err(EOPNOTSUPP),
    )
}

pub fn read_nowait(file: &File, to: &mut [u8]) -> std::result::Result<usize, i32> {
    let iov = IoVec {
        base: to.as_mut_ptr().cast(),
        len: to.len(),
    };
    // SAFETY: One buffer, which outlives the call. At the file's own position, with RWF_NOWAIT.
    match unsafe { preadv2(file.as_raw_fd(), &iov, 1, -1, 8) } {
        n @ 0.. => Ok(n as usize),
        _ => Err(last()),
    }
}

pub fn open_nonblocking(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
        .map_err(|e| format!("{}: {e}", path.display()))
}

fn calls_that_must_not_sleep(device: &Device) -> Result {
    let file = device.open()?;
    advance(&file).map_err(|e| e.to_string())?;
    expect("RWF_NOWAIT", read_nowait(&file, &mut [0; 4]), Ok(4))?;
    expect(
        "RWF_NOWAIT again",
        read_nowait(&file, &mut [0; 4]),
        Err(EAGAIN),
    )?;
    let mut impatient = open_nonblocking(&device.node())?;
    expect(
        "O_NONBLOCK",
        impatient.read(&mut [0; 4]).map_err(|e| e.to_string())?,
        4,
    )?;
    expect(
        "O_NONBLOCK again",
        errno(impatient.read(&mut [0; 4])),
        EAGAIN,
    )
}

/// The file whose generation the signal's handler sets forth, if it does.
static ADVANCED: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_alarm(_: c_int) {
    let fd = ADVANCED.load(Relaxed);
    if fd >= 0 {
        // SAFETY: A call that may be made in a handler, without memory.
        unsafe { ioctl(fd, ADVANCE, 0) };
    }
}

fn signals(device: &Device) -> Result {
    let mut file = device.open()?;
    advance(&file).map_err(|e| e.to_string())?;
    let mut word = [0; 4];
    file.read_exact(&mut word).map_err(|e| e.to_string())?;
    // SAFETY: The handler does what a handler may. Nobody else uses the signal.
    unsafe {
        signal(SIGALRM, on_alarm);
        siginterrupt(SIGALRM, 1);
        alarm(1);
    }
    // SAFETY: The buffer outlives the call.
    let said = unsafe { read(file.as_raw_fd(), word.as_mut_ptr(), 4) };
    expect("read() with a signal", (said, last()), (-1, EINTR))?;
    // With SA_RESTART the call goes on, and finds what the handler did.
    ADVANCED.store(file.as_raw_fd(), Relaxed);
    // SAFETY: As above.
    let said = unsafe {
        siginterrupt(SIGALRM, 0);
        alarm(1);
        read(file.as_raw_fd(), word.as_mut_ptr(), 4)
    };
    ADVANCED.store(-1, Relaxed);
    expect("read() that is restarted", said, 4)
}

/// `ioctl()` as a program of 32 bits calls it.
pub fn compat_ioctl(file: &File, request: u32, argument: u32) -> i32 {
    let said: i32;
    // SAFETY: System call 54 of 32 bits is ioctl(); its requests here take numbers, or a pointer to
    // four bytes, and leave other memory alone. It changes no register but eax (and the high ones).
    unsafe {
        asm!(
            "xchg rbx, {fd}",
            "int 0x80",
            "xchg rbx, {fd}",
            fd = inout(reg) file.as_raw_fd() as u64 => _,
            inout("eax") 54 => said,
            in("ecx") request,
            in("edx") argument,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    said
}

fn programs_of_32_bits(device: &Device) -> Result {
    let file = device.open()?;
    let data = open_node(&data_node(device))?;
    expect("the driver's own", compat_ioctl(&file, ECHO as u32, 41), 42)?;
    expect("its other command", compat_ioctl(&file, 0x63ff, 0), -ENOTTY)?;
    expect(
        "a file without ioctl()",
        compat_ioctl(&data, ECHO as u32, 0),
        -ENOTTY,
    )?;
    // MAP_32BIT: a pointer that fits.
    let low = Map::at(&file, 0, 1, READ_WRITE, PRIVATE | 0x20 | 0x40).map_err(|e| e.to_string())?;
    let address = low.0.expose_provenance() as u32;
    expect(
        "a pointer",
        compat_ioctl(&file, GENERATION as u32, address),
        0,
    )?;
    expect(
        "nowhere",
        compat_ioctl(&file, GENERATION as u32, 8),
        -EFAULT,
    )
}

fn what_can_be_mapped(device: &Device) -> Result {
    let data = open_node(&data_node(device))?;
    let refused =
        |offset, pages, protection, flags| errno(Map::new(&data, offset, pages, protection, flags));
    expect("a copy", refused(0, 1, READ_WRITE, PRIVATE), EINVAL)?;
    expect("two pages", refused(0, 2, READ, SHARED), EINVAL)?;
    expect(
        "the second page",
        refused(PAGE as i64, 1, READ, SHARED),
        EINVAL,
    )?;
    expect(
        "registers to write",
        refused(REGISTERS, 1, READ_WRITE, SHARED),
        EACCES,
    )?;
    expect(
        "more than the BAR",
        refused(REGISTERS, 1 << 10, READ, SHARED),
        EINVAL,
    )?;
    let at = |e: io::Error| format!("mmap(): {e}");
    let registers = Map::new(&data, REGISTERS, 4, READ, SHARED).map_err(at)?;
    expect("the identification", registers.get(0) & 0xff, 0xed)?;
    // SAFETY: Of our own mapping.
    let said = unsafe { mprotect(registers.0.cast(), PAGE, READ_WRITE) };
    expect("mprotect()", (said, last()), (-1, EACCES))?;
    // Direct I/O cannot get hold of such pages, nor can whoever reads another's memory.
    let page = Map::new(&data, 0, 1, READ_WRITE, SHARED).map_err(at)?;
    page.set(0, 1);
    let mut memory = File::open("/proc/self/mem").map_err(|e| e.to_string())?;
    let place = SeekFrom::Start(page.0.addr() as u64);
    memory.seek(place).map_err(|e| e.to_string())?;
    match memory.read(&mut [0; 4]) {
        Err(_) => Ok(()),
        Ok(n) => Err(format!(
            "/proc/self/mem gave {n} bytes of a mapping of page frames"
        )),
    }
}

/// Unbinding waits for an operation, and says so.
fn a_nap_is_reported(device: &Device) -> Result {
    let file = device.open()?;
    let mut log = open_nonblocking(Path::new("/dev/kmsg"))?;
    log.seek(SeekFrom::End(0)).map_err(|e| e.to_string())?;
    let napper = thread::spawn(move || control(&file, NAP, 2000));
    let tasks = || fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count());
    wait_for("the napper to start", || Ok((tasks() > 1).then_some(())))?;
    thread::sleep(std::time::Duration::from_millis(500));
    device.unbind()?;
    let napped = join_within("the nap", napper)?;
    expect("the nap", napped.map_err(|e| e.to_string())?, 0)?;
    let mut said = String::new();
    let mut record = [0; 8192];
    while let Ok(n) = log.read(&mut record) {
        said += &String::from_utf8_lossy(&record[..n]);
    }
    device.bind()?;
    match said.contains("chardev0: unbinding has waited") && said.contains("ioctl() of ") {
        true => Ok(()),
        false => Err(format!("unbinding said {said:?}")),
    }
}

fn a_number_is_used_again(device: &Device) -> Result {
    let old = device.open()?;
    advance(&old).map_err(|e| e.to_string())?;
    let old_number = number(&device.node())?;
    let again = PathBuf::from(format!("/proc/self/fd/{}", old.as_raw_fd()));
    let events = thread::spawn({
        let file = old.try_clone().map_err(|e| e.to_string())?;
        move || {
            let _ = (&file).read(&mut [0; 4]);
            poll_for(&file, POLLIN)
        }
    });
    device.unbind()?;
    let events = join_within("poll()", events)?.map_err(|e| e.to_string())?;
    expect("poll()", events & (POLLHUP | POLLERR), POLLHUP | POLLERR)?;
    device.bind()?;
    let new = device.open()?;
    expect("the number", number(&device.node())?, old_number)?;
    expect_gone("ioctl() on the old file", advance(&old))?;
    let opened = File::open(&again).map(|_| 0);
    expect_gone("open() by way of the old file", opened)?;
    advance(&new)
        .map(|_| ())
        .map_err(|e| format!("the new file: {e}"))
}

/// The number of a device node.
fn number(node: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(node).map_err(|e| format!("{}: {e}", node.display()))?;
    Ok(found.rdev())
}

fn a_mapping_keeps_the_module(device: &Device) -> Result {
    let module = Module::with_devscope("chardev");
    let data = open_node(&data_node(device))?;
    let map = Map::new(&data, 0, 1, READ_WRITE, SHARED).map_err(|e| e.to_string())?;
    map.set(0, 1);
    drop(data);
    device.unbind()?;
    storm::expect_busy(&module, "a page of it is mapped")?;
    expect("what was mapped", map.is_there(), Ok(false))?;
    drop(map);
    device.bind()
}

/// Programs have the page mapped, by themselves, by fork() and by mremap(), and the registers; the
/// device goes, and all of it goes.
fn mappings_are_taken_away(device: &Device) -> Result {
    let data = open_node(&data_node(device))?;
    let at = |e: io::Error| format!("mmap(): {e}");
    let page = Map::new(&data, 0, 1, READ_WRITE, SHARED).map_err(at)?;
    let registers = Map::new(&data, REGISTERS, 8, READ, SHARED).map_err(at)?;
    page.set(0, 7);
    expect("the identification", registers.get(0) & 0xff, 0xed)?;
    let moved = Map::new(&data, 0, 1, READ_WRITE, SHARED).map_err(at)?;
    expect("the second mapping", moved.get(0), 7)?;
    let room = Map::anonymous(1).map_err(at)?;
    // SAFETY: Both are ours: the mapping is moved to where room was made for it.
    let copy = unsafe {
        let (from, to) = (moved.0.cast(), room.0.cast::<c_void>());
        // MREMAP_MAYMOVE | MREMAP_FIXED
        mremap(from, PAGE, PAGE, 3, to)
    };
    let copy = Map::take(copy, PAGE).map_err(|e| format!("mremap(): {e}"))?;
    std::mem::forget((moved, room));
    expect("the moved one", copy.get(0), 7)?;
    // SAFETY: The second half is ours.
    unsafe { munmap(registers.0.byte_add(4 * PAGE).cast(), 4 * PAGE) };
    let children = [Child::touching(&page)?, Child::touching(&page)?];
    device.unbind()?;
    for map in [&page, &copy, &registers] {
        expect("what was mapped", map.is_there(), Ok(false))?;
    }
    for child in children {
        expect(
            "a program that touches the page",
            child.killed_by()?,
            SIGBUS,
        )?;
    }
    expect(
        "another mapping",
        errno(Map::new(&data, 0, 1, READ, SHARED)),
        sys::ENODEV,
    )?;
    device.bind()?;
    works(device)?;
    // The old ones stay dead.
    expect("what was mapped", page.is_there(), Ok(false))
}

/// A child that touches a page of ours until it is killed.
struct Child(c_int);

impl Child {
    fn touching(map: &Map) -> Result<Self> {
        // SAFETY: The child does nothing but load from memory that it has by way of us, and end.
        match unsafe { fork() } {
            0 => {
                let started = std::time::Instant::now();
                while started.elapsed() < sys::PATIENCE {
                    map.get(0);
                }
                // SAFETY: Ends the child, without what the parent would do at its end.
                unsafe { _exit(0) }
            }
            -1 => Err(format!("fork(): {}", io::Error::last_os_error())),
            pid => Ok(Self(pid)),
        }
    }

    /// The signal that has ended it.
    fn killed_by(self) -> Result<c_int> {
        let mut status = 0;
        // SAFETY: There is room for the status.
        match unsafe { waitpid(self.0, &mut status, 0) } {
            -1 => Err(format!("waitpid(): {}", io::Error::last_os_error())),
            _ => Ok(status & 0x7f),
        }
    }
}

/// A mapping.
struct Map(*mut u32, usize);

impl Map {
    fn new(
        file: &File,
        offset: i64,
        pages: usize,
        protection: c_int,
        flags: c_int,
    ) -> io::Result<Self> {
        Self::at(file, offset, pages, protection, flags)
    }

    fn at(
        file: &File,
        offset: i64,
        pages: usize,
        protection: c_int,
        flags: c_int,
    ) -> io::Result<Self> {
        let (len, fd) = (pages * PAGE, file.as_raw_fd());
        // SAFETY: A new mapping, at an address that the kernel chooses.
        Self::take(
            unsafe { mmap(ptr::null_mut(), len, protection, flags, fd, offset) },
            len,
        )
    }

    fn anonymous(pages: usize) -> io::Result<Self> {
        let len = pages * PAGE;
        let flags = PRIVATE | 0x20;
        // SAFETY: As above; MAP_ANONYMOUS.
        Self::take(
            unsafe { mmap(ptr::null_mut(), len, READ_WRITE, flags, -1, 0) },
            len,
        )
    }

    fn take(mapped: *mut c_void, len: usize) -> io::Result<Self> {
        match mapped.addr() as isize {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(Self(mapped.cast(), len)),
        }
    }

    fn get(&self, offset: usize) -> u32 {
        // SAFETY: Inside of the mapping; if nothing is there, we are killed.
        unsafe { self.0.byte_add(offset).read_volatile() }
    }

    fn set(&self, offset: usize, value: u32) {
        // SAFETY: As above.
        unsafe { self.0.byte_add(offset).write_volatile(value) }
    }

    /// Whether the kernel finds something there, which it looks for in the same way, but is not killed.
    fn is_there(&self) -> std::result::Result<bool, i32> {
        let mut ends = [0; 2];
        // SAFETY: Room for two descriptors, which are closed below; the kernel looks at our memory.
        unsafe {
            if pipe(ends.as_mut_ptr()) != 0 {
                return Err(last());
            }
            let said = write(ends[1], self.0.cast(), 1);
            let error = last();
            close(ends[0]);
            close(ends[1]);
            match (said, error) {
                (1, _) => Ok(true),
                (_, EFAULT) => Ok(false),
                (_, other) => Err(other),
            }
        }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: Mapped with this size, and not used again. (Where a part was unmapped already, that
        // part is skipped.)
        unsafe { munmap(self.0.cast(), self.1) };
    }
}
