//! `examples/threaded`

use super::*;
use std::io::Read;

/// `_IO('t', 1)`
const PAUSE: c_ulong = 0x7401;
/// `_IO('t', 2)`
const RESUME: c_ulong = 0x7402;

pub fn works(device: &Device) -> Result {
    let file = device.open()?;
    let said = |what| move |error: io::Error| format!("{what}: {error}");
    let first = measure(&file).map_err(said("read()"))?;
    let second = measure(&file).map_err(said("read()"))?;
    if second <= first {
        return Err(format!(
            "measurement {second} came after measurement {first}"
        ));
    }
    control(&file, PAUSE, 0).map_err(said("ioctl(PAUSE)"))?;
    control(&file, RESUME, 0).map_err(said("ioctl(RESUME)"))?;
    match control(&file, RESUME, 0) {
        Err(error) if error.raw_os_error() == Some(EINVAL) => Ok(()),
        other => Err(format!("one ioctl(RESUME) too many: {other:?}")),
    }
}

pub fn measure(mut file: &File) -> io::Result<u64> {
    let mut number = [0; 8];
    file.read_exact(&mut number)?;
    Ok(u64::from_ne_bytes(number))
}

/// Disables the line, and enables it again. It may be gone in between.
pub fn pause(file: &File) -> io::Result<u64> {
    control(file, PAUSE, 0)?;
    control(file, RESUME, 0)
}
