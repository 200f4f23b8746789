//! Time: the processor time of this process, user and system.
//!
//! An exploration computes all the time on one thread, so on an idle machine this is what a clock on the
//! wall shows; on a busy one it is what it would have shown.

use rustix::time::{clock_gettime, ClockId};
use std::time::Duration;

#[derive(Clone, Copy)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        Self(Duration::new(now.tv_sec as u64, now.tv_nsec as u32))
    }

    pub fn elapsed(self) -> Duration {
        Self::now().0 - self.0
    }
}

/// The most memory that this process has had, in KiB: `VmHWM` of `/proc/self/status`.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.expect("a line `VmHWM: <number> kB`")
}
