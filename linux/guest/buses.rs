//! A driver for each bus that is not PCI, taken away while programs use it.
//!
//! The devices need no hardware: I2C has a stub, USB a host and a gadget that are both the kernel's own,
//! and auxiliary and faux devices are made by their drivers. What each driver does is in
//! `examples/counter.rs`: a write is counted, a read waits for a count that the file has not seen.

use crate::sys::{
    self, expect_gone, join_within, open_node, wait_for, write, Device, Module, Result, EAGAIN,
    EBUSY,
};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::Duration;

/// How often a device is unbound, and how often it is removed.
const CYCLES: usize = 5;

/// What the tables of the I2C and USB drivers say that the counter begins with.
const FIRST: u8 = 7;

pub fn run(name: &str) -> Result<String> {
    match name {
        "i2c" => hardware(&I2c),
        "usb" => hardware(&Usb),
        "faux" => faux(),
        "auxiliary" => auxiliary(),
        "leaks" => sys::leaks(),
        _ => Err(format!("there is no bus {name:?}")),
    }
}

/// A bus, and one device that can be plugged into it.
trait Bus {
    const NAME: &'static str;
    /// What has to be there before, in this order.
    const MODULES: &'static [(&'static str, &'static str)];

    fn plug(&self) -> Result;
    fn unplug(&self) -> Result;
}

struct I2c;

impl Bus for I2c {
    const NAME: &'static str = "i2c";
    const MODULES: &'static [(&'static str, &'static str)] = &[("i2c_stub", "chip_addr=0x20")];

    fn plug(&self) -> Result {
        write("/sys/bus/i2c/devices/i2c-0/new_device", "devscope 0x20")
    }

    fn unplug(&self) -> Result {
        write("/sys/bus/i2c/devices/i2c-0/delete_device", "0x20")
    }
}

struct Usb;

impl Usb {
    fn gadget() -> Module {
        Module("g_zero".into())
    }
}

impl Bus for Usb {
    const NAME: &'static str = "usb";
    const MODULES: &'static [(&'static str, &'static str)] = &[
        ("udc_core", ""),
        ("dummy_hcd", ""),
        ("libcomposite", ""),
        ("usb_f_ss_lb", ""),
    ];

    fn plug(&self) -> Result {
        Self::gadget().load("")
    }

    fn unplug(&self) -> Result {
        Self::gadget().unload()
    }
}

fn driver_dir<B: Bus>() -> PathBuf {
    Path::new("/sys/bus")
        .join(B::NAME)
        .join(format!("drivers/on_{}", B::NAME))
}

/// The devices that are bound to the driver.
fn bound(driver: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(driver).map_err(|error| format!("{}: {error}", driver.display()))?;
    Ok(entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()) || name.contains('.'))
        .collect())
}

/// Waits for one device to be bound, and gives its name.
fn wait_bound(driver: &Path) -> Result<String> {
    wait_for("a device to be bound", || Ok(bound(driver)?.pop()))
}

fn wait_unbound(driver: &Path) -> Result {
    wait_for("the device to go", || {
        Ok(bound(driver)?.is_empty().then_some(()))
    })
}

fn hardware<B: Bus>(bus: &B) -> Result<String> {
    let others: Vec<_> = B::MODULES
        .iter()
        .map(|&(name, parameters)| (Module(name.into()), parameters))
        .collect();
    for (module, parameters) in &others {
        module.load(parameters)?;
    }
    let name = format!("on_{}", B::NAME);
    let driver = Module::with_devscope(&name);
    driver.load("")?;
    let (dir, node) = (driver_dir::<B>(), PathBuf::from("/dev").join(name));
    bus.plug()?;
    for _ in 0..CYCLES {
        let device = wait_bound(&dir)?;
        count(&node, FIRST + 1)?;
        taken_away(&node, || write(dir.join("unbind"), &device))?;
        write(dir.join("bind"), &device)?;
        count(&node, FIRST + 1)?;
        taken_away(&node, || {
            bus.unplug()?;
            wait_unbound(&dir)
        })?;
        bus.plug()?;
    }
    wait_bound(&dir)?;
    count(&node, FIRST + 1)?;
    // The module goes with its driver bound, and what it was asked for perhaps still going on.
    ask(&node)?;
    driver.unload()?;
    driver.load("")?;
    wait_bound(&dir)?;
    count(&node, FIRST + 1)?;
    bus.unplug()?;
    wait_unbound(&dir)?;
    driver.unload()?;
    for (module, _) in others.iter().rev() {
        module.unload()?;
    }
    Ok(format!(
        "{CYCLES} times unbound, and {CYCLES} times removed, while in use"
    ))
}

fn faux() -> Result<String> {
    let (driver, node) = (Module("on_faux".into()), PathBuf::from("/dev/on_faux"));
    for _ in 0..CYCLES {
        driver.load("")?;
        if !Path::new("/sys/bus/faux/devices/on_faux/driver").exists() {
            return Err("the module has no device on the faux bus, or it is not bound".into());
        }
        count(&node, 1)?;
        let file = open_node(&node)?;
        expect_busy(&driver)?;
        drop(file);
        ask(&node)?;
        driver.unload()?;
        if node.exists() || Path::new("/sys/bus/faux/devices/on_faux").exists() {
            return Err("the module is unloaded, and its device is still there".into());
        }
    }
    Ok(format!("{CYCLES} times loaded and unloaded"))
}

/// Here the parent can be unbound while programs use its child.
fn auxiliary() -> Result<String> {
    const CHILD: &str = "on_auxiliary.counter.0";
    let (driver, parent) = (Module("on_auxiliary".into()), Device::find("on_auxiliary")?);
    let (dir, node) = (
        Path::new("/sys/bus/auxiliary/drivers/on_auxiliary.on_auxiliary"),
        parent.node(),
    );
    driver.load("")?;
    for _ in 0..CYCLES {
        if wait_bound(dir)? != CHILD {
            return Err(format!("the parent's device is not called {CHILD}"));
        }
        count(&node, 1)?;
        taken_away(&node, || write(dir.join("unbind"), CHILD))?;
        write(dir.join("bind"), CHILD)?;
        taken_away(&node, || parent.unbind())?;
        if Path::new("/sys/bus/auxiliary/devices").join(CHILD).exists() {
            return Err("the parent has gone, and its child is still there".into());
        }
        parent.bind()?;
    }
    ask(&node)?;
    driver.unload()?;
    Ok(format!(
        "{CYCLES} times a child was unbound, and {CYCLES} times its parent, with the child in use"
    ))
}

fn ask(node: &Path) -> Result {
    let mut file = open_node(node)?;
    file.write_all(b"count")
        .map_err(|error| format!("write: {error}"))
}

/// Asks for a count, and waits for it.
fn count(node: &Path, wanted: u8) -> Result {
    let mut file = open_node(node)?;
    let mut count = [0];
    file.write_all(b"count")
        .and_then(|()| file.read_exact(&mut count))
        .map_err(|error| format!("counting: {error}"))?;
    match count {
        [given] if given == wanted => Ok(()),
        [given] => Err(format!("the count is {given}, and should be {wanted}")),
    }
}

/// One thread waits in `read()`, and one writes all the time, while `away` takes the device away.
fn taken_away(node: &Path, away: impl FnOnce() -> Result) -> Result {
    let file = Arc::new(open_node(node)?);
    let idle = open_node(node)?;
    let until_gone = |use_it: fn(&File) -> io::Result<usize>| {
        let file = file.clone();
        thread::spawn(move || -> io::Result<u64> {
            loop {
                use_it(&file)?;
            }
        })
    };
    let reader = until_gone(|mut file| file.read(&mut [0]));
    let writer = until_gone(|mut file| file.write(b"count"));
    sleep(Duration::from_millis(20));
    away()?;
    expect_gone("read()", join_within("read()", reader)?)?;
    expect_gone("write()", join_within("write()", writer)?)?;
    expect_gone(
        "read() on an old file",
        (&idle).read(&mut [0]).map(|n| n as u64),
    )?;
    if File::open(node).is_ok() {
        return Err("the device is gone, and could be opened".into());
    }
    Ok(())
}

fn expect_busy(module: &Module) -> Result {
    match module.try_unload() {
        Err(error) if matches!(error.raw_os_error(), Some(EAGAIN | EBUSY)) => Ok(()),
        Err(error) => Err(format!("unloading while a file is open: {error}")),
        Ok(()) => Err("the module was unloaded while a file is open".into()),
    }
}
