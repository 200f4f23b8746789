//! `examples/platform_gpio`

use super::*;
use crate::sys::SIMULATOR;
use std::io::Read;
use std::path::{Path, PathBuf};

/// `_IO('b', 1)`
const PRESSED: c_ulong = 0x6201;
/// The file that pulls the line up or down.
fn pull() -> Result<PathBuf> {
    let device = sys::read(Path::new(SIMULATOR).join("dev_name"))?;
    let chip = sys::read(Path::new(SIMULATOR).join("bank/chip_name"))?;
    Ok(Path::new("/sys/devices/platform")
        .join(device.trim())
        .join(chip.trim())
        .join("sim_gpio0/pull"))
}

pub fn works(device: &Device) -> Result {
    let file = device.open()?;
    let pressed = || control(&file, PRESSED, 0).map_err(|error| format!("ioctl(PRESSED): {error}"));
    let before = pressed()?;
    push()?;
    wait_for("the button's interrupt", || {
        Ok((pressed()? == before + 1).then_some(()))
    })?;
    match count(&file) {
        Ok(now) if now == before + 1 => Ok(()),
        other => Err(format!(
            "read() gave {other:?} after {before} presses and one"
        )),
    }
}

fn push() -> Result {
    let pull = pull()?;
    sys::write(&pull, "pull-down")?;
    sys::write(&pull, "pull-up")
}

/// Presses the button, and looks whether the device is still there.
pub fn press(file: &File) -> io::Result<u64> {
    push().map_err(io::Error::other)?;
    control(file, PRESSED, 0)
}

/// Waits for the next press.
pub fn count(mut file: &File) -> io::Result<u64> {
    let mut count = [0; 8];
    file.read_exact(&mut count)?;
    Ok(u64::from_ne_bytes(count))
}
