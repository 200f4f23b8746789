// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What programs do to the `ring` driver.

use super::driver;
use kernel::{
    error::code,
    hosted::{self, edu::Edu, Machine},
};

/// Two programs fill the ring while a third resizes it, first to its end and then until the device is
/// unbound. Told line by line to `say`.
pub fn resized_under_load(machine: &Machine, say: fn(String)) {
    let module = machine.load(&driver::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(slot.is_bound());

    let file = machine.open("ring").expect("/dev/ring opens");
    let writers = [10, 20].map(|first| {
        let file = machine.open("ring").expect("/dev/ring opens");
        machine.spawn("writer", move || {
            (first..first + 3)
                .for_each(|number| put(&file, number).expect("there is room, or will be"));
            file
        })
    });
    assert_eq!(file.ioctl(RING_RESIZE, 0), Err(code::EINVAL));
    for slots in [1, 3] {
        assert_eq!(file.ioctl(RING_RESIZE, slots), Ok(0));
    }
    let writers = writers.map(|writer| writer.join());
    // What is left in the ring is added up when that is dropped.
    assert_eq!(file.ioctl(RING_RESIZE, 2), Ok(0));
    assert_eq!(file.ioctl(RING_TOTAL, 0), Ok(96));
    say("two programs wrote 10 + 11 + 12 and 20 + 21 + 22, under three resizes: 96".into());

    let writers = writers.map(|file| {
        machine.spawn("writer", move || loop {
            match put(&file, 1) {
                Ok(()) => {}
                Err(error) => return error,
            }
        })
    });
    let resizer = machine.spawn("resizer", move || loop {
        match file.ioctl(RING_RESIZE, 4) {
            Ok(_) => {}
            Err(error) => return error,
        }
    });
    slot.unbind().expect("the device unbinds");
    for writer in writers {
        assert_eq!(writer.join(), code::ENODEV);
    }
    assert_eq!(resizer.join(), code::ENODEV);
    say("unbound while all three went on: each came back with ENODEV".into());

    module.unload().expect("the module unloads");
    slot.unplug();
    let ledger = machine.ledger();
    say(format!("the ledger: {ledger}"));
}

fn put(file: &hosted::OpenFile, number: i32) -> Result<(), kernel::error::Error> {
    file.write(&number.to_ne_bytes())
        .map(|written| assert_eq!(written, 4))
}

const RING_RESIZE: u32 = kernel::ioctl::_IOW::<u32>('r' as u32, 1);
const RING_TOTAL: u32 = kernel::ioctl::_IO('r' as u32, 2);
