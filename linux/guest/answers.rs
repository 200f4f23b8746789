//! What programs get from edu, whichever way it is written.
//!
//! `examples/edu` is written again in `linux/bench/`, in C and in Linux's Rust, so that sizes can be
//! compared. They only can if all three are the same driver, so all three are asked the same here, and
//! are taken away like in a storm.

use crate::chardev::{
    compat_ioctl, errno, expect, open_nonblocking, read_nowait, EFAULT, ENOTTY, EOPNOTSUPP, ESPIPE,
};
use crate::storm::{check_factorial, Storm, COUNT, RAISE, STORM};
use crate::sys::{
    control, join_within, poll_for, say, wait_for, Device, Epoll, Module, Result, EAGAIN, EINVAL,
    POLLIN,
};
use std::ffi::c_short;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::thread::{self, sleep};
use std::time::Duration;

const POLLOUT: c_short = 0x4;
const POLLRDNORM: c_short = 0x40;
const POLLWRNORM: c_short = 0x100;

/// A command that edu has not.
const UNKNOWN: u32 = 0x65ff;
/// How often each is taken away.
const CYCLES: u32 = 5;
/// How long an interrupt may take that should not come.
const MOMENT: Duration = Duration::from_millis(50);

pub fn run(module: &str) -> Result<String> {
    let mut storm = Storm::new(Module(module.into()), Device::of_edu(module)?);
    storm.module.load("")?;
    for (what, check) in CHECKS {
        check(&storm.device).map_err(|why| format!("{what}: {why}"))?;
        say(&format!("seen={what}"));
    }
    let mut programs = storm.programs()?;
    for cycle in 1..=CYCLES {
        storm
            .cycle(&mut programs)
            .map_err(|why| format!("cycle {cycle}: {why}"))?;
    }
    for program in programs {
        program.end()?;
    }
    storm.reload()?;
    storm.unload()?;
    Ok(format!(
        "{} checks, and {CYCLES} unbinds with {} interrupts",
        CHECKS.len(),
        storm.interrupts
    ))
}

type Check = fn(&Device) -> Result;

const CHECKS: &[(&str, Check)] = &[
    ("numbers are answered", numbers),
    ("what is no number is EINVAL", no_numbers),
    ("an answer is for one file, and read once", whose_answer),
    ("calls that must not sleep", calls_that_must_not_sleep),
    ("polling", polling),
    ("interrupts are counted", interrupts),
    ("programs of 32 bits", programs_of_32_bits),
    ("what cannot be done", what_cannot_be_done),
];

/// What a program reads, byte for byte.
fn answer(mut file: &File) -> io::Result<String> {
    let mut text = [0; 64];
    let length = file.read(&mut text)?;
    Ok(String::from_utf8_lossy(&text[..length]).into_owned())
}

fn ask(mut file: &File, text: &[u8]) -> io::Result<usize> {
    file.write(text)
}

fn expect_ok<T: PartialEq + std::fmt::Debug>(what: &str, seen: io::Result<T>, wanted: T) -> Result {
    expect(what, seen.map_err(|error| error.to_string()), Ok(wanted))
}

fn numbers(device: &Device) -> Result {
    let file = device.open()?;
    let mut factorial = 1_u32;
    for number in 0..=12 {
        factorial *= number.max(1);
        let text = number.to_string();
        expect_ok(
            &format!("write({number})"),
            ask(&file, text.as_bytes()),
            text.len(),
        )?;
        expect_ok(
            &format!("read() of {number}!"),
            answer(&file),
            format!("{factorial}\n"),
        )?;
    }
    // White space around it is taken with it, and no more than sixteen bytes.
    for text in ["5\n", " \t5\r\n", "+5", "005", "5               "] {
        expect_ok(
            &format!("write({text:?})"),
            ask(&file, text.as_bytes()),
            text.len(),
        )?;
        expect_ok(
            &format!("read() after {text:?}"),
            answer(&file),
            "120\n".into(),
        )?;
    }
    let long = format!("5{}", " ".repeat(30));
    expect_ok("a long write", ask(&file, long.as_bytes()), 16)?;
    expect_ok("read() after a long write", answer(&file), "120\n".into())
}

fn no_numbers(device: &Device) -> Result {
    let file = open_nonblocking(&device.node())?;
    for text in [
        "x",
        "5x",
        "5 6",
        "-1",
        "0x5",
        "5.0",
        "13",
        "4294967296",
        "4294967301",
        " ",
        "\n",
        "5\0",
        "\0",
    ] {
        let said = ask(&file, text.as_bytes());
        expect(&format!("write({text:?})"), errno(said), EINVAL)?;
    }
    expect("an empty write", errno(ask(&file, b"")), EFAULT)?;
    sleep(MOMENT);
    expect("read() after all that", errno(answer(&file)), EAGAIN)
}

fn whose_answer(device: &Device) -> Result {
    let (one, other) = (device.open()?, device.open()?);
    expect_ok("write(3)", ask(&one, b"3"), 1)?;
    expect_ok("write(4)", ask(&other, b"4"), 1)?;
    expect_ok("read() of 4!", answer(&other), "24\n".into())?;
    expect_ok("read() of 3!", answer(&one), "6\n".into())?;
    // A short read takes the answer as well.
    let mut file = open_nonblocking(&device.node())?;
    expect_ok("write(5)", ask(&file, b"5"), 1)?;
    expect_ok("poll()", poll_for(&file, POLLIN), POLLIN)?;
    expect_ok("read() of one byte", file.read(&mut [0]), 1)?;
    expect("read() of the rest", errno(answer(&file)), EAGAIN)?;
    // A file that is closed with its question asked.
    for _ in 0..10 {
        expect_ok("write(12)", ask(&device.open()?, b"12"), 2)?;
    }
    check_factorial(&one, 6, "720")
}

fn calls_that_must_not_sleep(device: &Device) -> Result {
    let file = open_nonblocking(&device.node())?;
    expect("O_NONBLOCK", errno(answer(&file)), EAGAIN)?;
    expect_ok("write(4)", ask(&file, b"4"), 1)?;
    let read = wait_for("4!", || match answer(&file) {
        Err(error) if error.raw_os_error() == Some(EAGAIN) => Ok(None),
        other => Ok(Some(other)),
    })?;
    expect_ok("O_NONBLOCK, with an answer", read, "24\n".into())?;
    expect("O_NONBLOCK again", errno(answer(&file)), EAGAIN)?;
    let file = device.open()?;
    expect(
        "RWF_NOWAIT",
        read_nowait(&file, &mut [0; 4]),
        Err(EOPNOTSUPP),
    )
}

fn polling(device: &Device) -> Result {
    const ALL: c_short = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
    let file = device.open()?;
    let writable = POLLOUT | POLLWRNORM;
    expect_ok("poll() of a new file", poll_for(&file, ALL), writable)?;
    let epoll = Epoll::new(&file, POLLIN).map_err(|error| format!("epoll_ctl(): {error}"))?;
    // Somebody waits before there is a question.
    let poller = thread::spawn({
        let file = file
            .try_clone()
            .map_err(|error| format!("dup(): {error}"))?;
        move || poll_for(&file, POLLIN)
    });
    sleep(MOMENT);
    if poller.is_finished() {
        return Err("poll() came back before there was an answer".into());
    }
    expect_ok("write(6)", ask(&file, b"6"), 1)?;
    expect_ok(
        "poll() for an answer",
        join_within("poll()", poller)?,
        POLLIN,
    )?;
    expect_ok("epoll_wait()", epoll.wait(), POLLIN)?;
    expect_ok("poll() with an answer", poll_for(&file, ALL), ALL)?;
    expect_ok("read() of 6!", answer(&file), "720\n".into())?;
    expect_ok("poll() after reading", poll_for(&file, ALL), writable)
}

fn interrupts(device: &Device) -> Result {
    let file = device.open()?;
    let count = || control(&file, COUNT, 0).map_err(|error| format!("ioctl(COUNT): {error}"));
    let expect_more = |what: &str, more: u64, seen: &dyn Fn() -> Result| {
        let before = (count()?, device.delivered()?);
        seen()?;
        let wanted = before.0 + more;
        wait_for(&format!("the interrupts of {what}"), || {
            Ok((count()? >= wanted).then_some(()))
        })?;
        sleep(MOMENT);
        expect(&format!("{what}: the driver's count"), count()?, wanted)?;
        let delivered = device.delivered()? - before.1;
        expect(&format!("{what}: the kernel's count"), delivered, more)
    };
    let call = |request, argument| expect_ok("ioctl()", control(&file, request, argument), 0);
    expect_more("EDU_RAISE", 1, &|| call(RAISE, 0))?;
    expect_more("EDU_STORM of none", 1, &|| call(STORM, 0))?;
    // Each raises the next, after the one that begins it.
    expect_more("EDU_STORM", 101, &|| call(STORM, 100))?;
    expect_more("a factorial", 1, &|| check_factorial(&file, 7, "5040"))?;
    expect_more("what is refused", 0, &|| {
        let large = control(&file, STORM, 1 << 32);
        expect("EDU_STORM of too many", errno(large), EINVAL)?;
        let unknown = control(&file, UNKNOWN.into(), 0);
        expect("ioctl() of what edu has not", errno(unknown), ENOTTY)
    })
}

fn programs_of_32_bits(device: &Device) -> Result {
    let file = device.open()?;
    let count = control(&file, COUNT, 0).map_err(|error| format!("ioctl(COUNT): {error}"))?;
    expect(
        "ioctl(COUNT)",
        compat_ioctl(&file, COUNT as u32, 0),
        count as i32,
    )?;
    expect(
        "ioctl() of what edu has not",
        compat_ioctl(&file, UNKNOWN, 0),
        -ENOTTY,
    )
}

fn what_cannot_be_done(device: &Device) -> Result {
    let mut file = device.open()?;
    expect("lseek()", errno(file.seek(SeekFrom::Start(0))), ESPIPE)?;
    expect("fsync()", errno(file.sync_all()), EINVAL)
}
