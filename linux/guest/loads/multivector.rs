//! `examples/multivector`

use super::*;

/// `_IOW('m', 1, u32)`
const RAISE: c_ulong = 0x4004_6d01;
/// `_IOW('m', 2, u32)`
const COUNT: c_ulong = 0x4004_6d02;
const VECTORS: c_ulong = 4;

/// Each vector counts its interrupts, and has a line of its own.
pub fn works(device: &Device) -> Result {
    let file = device.open()?;
    let counts = || {
        (0..VECTORS)
            .map(|vector| control(&file, COUNT, vector))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| format!("ioctl(COUNT): {error}"))
    };
    for vector in 0..VECTORS {
        let before = counts()?[vector as usize];
        control(&file, RAISE, vector).map_err(|error| format!("ioctl(RAISE): {error}"))?;
        // At least one: after a storm, a message more than was raised has been seen.
        let after = counts()?[vector as usize];
        if after <= before {
            return Err(format!(
                "vector {vector} was raised, and counted {before}, {after}"
            ));
        }
    }
    let lines = device.lines()?;
    if lines.len() as c_ulong != VECTORS {
        return Err(format!("the driver has the lines {lines:?}"));
    }
    for (vector, line) in lines.iter().enumerate() {
        // Where an allocation was made to fail, Linux does without the file.
        let Ok(hint) = sys::read(format!("/proc/irq/{line}/affinity_hint")) else {
            continue;
        };
        let wanted = 1 << (vector % 2);
        if u64::from_str_radix(hint.trim(), 16) != Ok(wanted) {
            return Err(format!("the hint for vector {vector} is {hint:?}"));
        }
    }
    Ok(())
}

pub fn raise<const VECTOR: c_ulong>(file: &File) -> io::Result<u64> {
    control(file, RAISE, VECTOR)
}
