//! Every allocation on the way to a bound device fails once.
//!
//! `/proc/thread-self/fail-nth` makes the n-th allocation of this thread fail from then on; reading
//! it back gives 0 if there was an n-th. So n grows until binding needs fewer.

use crate::loads;
use crate::storm::check_factorial;
use crate::sys::{
    self, read, say, wait_for, write, Device, Module, Result, EBUSY, ENODEV, ENOMEM, ENOSPC,
};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const NTH: &str = "/proc/thread-self/fail-nth";

/// More allocations than any bind makes: there is a mistake if it comes to this.
const LIMIT: u32 = 2000;

/// What may fail: allocations of the slab allocators and of pages, also those that may sleep.
fn arm() -> Result {
    for kind in ["failslab", "fail_page_alloc"] {
        let dir = Path::new("/sys/kernel/debug").join(kind);
        write(dir.join("ignore-gfp-wait"), "N")?;
        // A stack for each point would be all that there is in the log.
        write(dir.join("verbose"), "0")?;
    }
    let pages = Path::new("/sys/kernel/debug/fail_page_alloc");
    write(pages.join("ignore-gfp-highmem"), "N")?;
    write(pages.join("min-order"), "0")
}

/// What came of one failed allocation.
enum Outcome {
    /// bind gave an error, and left nothing.
    Refused(i32),
    /// Somebody along the way can do without.
    Tolerated,
    /// There was no such allocation: bind needs fewer.
    Enough,
}

pub fn run(name: &str) -> Result<String> {
    match name {
        "leaks" => sys::leaks(),
        driver => fail_each(driver),
    }
}

fn fail_each(driver: &str) -> Result<String> {
    // The C drivers differ in their file's name only.
    let name = driver.trim_end_matches("_cured_c");
    let (module, device) = (Module(driver.into()), Device::find(name)?);
    arm()?;
    module.load("")?;
    if !device.is_bound() {
        return Err("loading the module did not bind the device".into());
    }
    device.unbind()?;
    expect_nothing_registered(&device)?;
    let attempt = Attempt::new(&device)?;

    let mut refused = BTreeMap::<i32, u32>::new();
    let mut tolerated = 0;
    let mut points = 0;
    for nth in 1..=LIMIT {
        let at = |why: String| format!("allocation {nth}: {why}");
        match attempt.fail(nth).map_err(at)? {
            Outcome::Refused(errno) => {
                *refused.entry(errno).or_default() += 1;
                expect_nothing_registered(&device).map_err(at)?;
                let again = |why| at(format!("once nothing fails any more, {why}"));
                device.bind().map_err(again)?;
            }
            Outcome::Tolerated => tolerated += 1,
            Outcome::Enough => {
                points = nth - 1;
                break;
            }
        }
        expect_working(&device).map_err(at)?;
        device.unbind().map_err(at)?;
        expect_nothing_registered(&device).map_err(at)?;
        if nth % 20 == 0 {
            say(&format!("points={nth}"));
        }
    }
    expect_working(&device)?;
    module.unload()?;
    if points == 0 {
        return Err("no allocation has failed: fault injection does not work here".into());
    }
    let wanted = clean(driver);
    let clean: u32 = wanted
        .iter()
        .filter_map(|(errno, _)| refused.get(errno))
        .sum();
    let others: Vec<_> = refused
        .keys()
        .filter(|errno| wanted.iter().all(|(clean, _)| clean != *errno))
        .collect();
    if !others.is_empty() || clean == 0 {
        return Err(format!(
            "of {points} failed allocations {clean} came back as they should, {tolerated} were \
             tolerated, and as other errors came back {others:?}"
        ));
    }
    let words: Vec<_> = wanted
        .iter()
        .filter_map(|(errno, name)| Some(format!("{} {name}", refused.get(errno)?)))
        .collect();
    Ok(format!(
        "{points} points: {}, {tolerated} tolerated by the kernel; nothing left registered",
        words.join(", ")
    ))
}

/// What a failed allocation may come back as. For Linux's `request_region()` an entry that cannot be
/// allocated is one that is taken.
const CLEAN: &[(i32, &str)] = &[(ENOMEM, "ENOMEM"), (EBUSY, "EBUSY")];

/// For a driver that takes message-signalled interrupts or none. For `__pci_enable_msix_range()` a
/// domain that cannot be allocated is none (`ENODEV`), and vectors that cannot are too few (`ENOSPC`).
const CLEAN_WITH_VECTORS: &[(i32, &str)] = &[
    (ENOMEM, "ENOMEM"),
    (EBUSY, "EBUSY"),
    (ENODEV, "ENODEV"),
    (ENOSPC, "ENOSPC"),
];

fn clean(driver: &str) -> &'static [(i32, &'static str)] {
    match driver {
        "multivector" => CLEAN_WITH_VECTORS,
        _ => CLEAN,
    }
}

/// Everything that binding with a failure takes. Files are open and memory is there before the
/// failure is armed: only binding may meet it.
struct Attempt<'a> {
    device: &'a Device,
    nth: File,
    bind: File,
}

impl<'a> Attempt<'a> {
    fn new(device: &'a Device) -> Result<Self> {
        let open = |path: &Path| {
            File::options()
                .read(path == Path::new(NTH))
                .write(true)
                .open(path)
                .map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(Self {
            device,
            nth: open(Path::new(NTH))?,
            bind: open(&device.driver_dir().join("bind"))?,
        })
    }

    /// Binds, and lets the `nth` allocation of that fail.
    fn fail(&self, nth: u32) -> Result<Outcome> {
        let order = nth.to_string();
        let mut left = [0; 16];
        let nth = |error: io::Error| format!("{NTH}: {error}");
        self.nth.write_all_at(order.as_bytes(), 0).map_err(nth)?;
        let bound = self.bind.write_at(self.device.address.as_bytes(), 0);
        let length = self.nth.read_at(&mut left, 0);
        self.nth.write_all_at(b"0", 0).map_err(nth)?;
        let left = String::from_utf8_lossy(&left[..length.map_err(nth)?])
            .trim()
            .parse::<u32>()
            .map_err(|_| format!("{NTH} is not a number"))?;
        match bound {
            Err(error) if left == 0 => {
                if self.device.is_bound() {
                    return Err(format!("bind gave {error}, and the device is bound"));
                }
                Ok(Outcome::Refused(error.raw_os_error().unwrap_or(0)))
            }
            Err(error) => Err(format!("bind gave {error}, and nothing had failed")),
            Ok(_) if left == 0 => Ok(Outcome::Tolerated),
            Ok(_) => Ok(Outcome::Enough),
        }
    }
}

/// Nothing of an unbound driver is to be found.
fn expect_nothing_registered(device: &Device) -> Result {
    if device.is_bound() {
        return Err("the device is still bound".into());
    }
    // devtmpfs removes nodes from a thread of its own.
    wait_for("the device's node to be gone", || {
        Ok((!device.node().exists()).then_some(()))
    })?;
    if !device.lines()?.is_empty() {
        return Err("the interrupt is still requested".into());
    }
    let classes = Path::new("/sys/class");
    for class in [
        classes.join("misc").join(&device.driver),
        classes.join(&device.driver),
    ] {
        if class.exists() {
            return Err(format!("{} is still there", class.display()));
        }
    }
    let numbers = read("/proc/devices")?;
    if numbers
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(&device.driver))
    {
        return Err("numbers for nodes are still reserved".into());
    }
    let regions = read("/proc/iomem")?;
    if regions
        .lines()
        .any(|line| line.trim_end().ends_with(&format!(": {}", device.driver)))
    {
        return Err("the BAR is still reserved".into());
    }
    Ok(())
}

/// A bound device does what it is for, as far as its driver has something to ask.
fn expect_working(device: &Device) -> Result {
    match device.driver.as_str() {
        "edu" => check_factorial(&device.open()?, 5, "120"),
        "case1" => {
            let before = device.delivered()?;
            device.registers()?.raise(0x100);
            wait_for("an interrupt", || {
                Ok((device.delivered()? > before).then_some(()))
            })
        }
        "case2" => match fs::File::open(device.node()) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => device.open().map(drop),
            Err(error) => Err(format!("{}: {error}", device.node().display())),
        },
        other => match loads::find(other) {
            Some(load) => load.works(device),
            None => Err(format!("no use is known of a driver named {other}")),
        },
    }
}
