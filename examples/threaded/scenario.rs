// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What programs do to the `threaded` driver.

use super::driver;
use kernel::{
    error::{code, Error},
    hosted::{self, edu::Edu, Machine},
};

/// Programs have things measured, one of them pauses the device, and then it is unbound. Told line by
/// line to `say`.
pub fn measured_by_a_thread(machine: &Machine, say: fn(String)) {
    let module = machine.load(&driver::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(slot.is_bound());

    let file = machine.open("threaded").expect("/dev/threaded opens");
    assert_eq!(measure(&file), Ok(1));
    assert_eq!(measure(&file), Ok(2));
    say("two measurements: 1, 2".into());

    assert_eq!(file.ioctl(PAUSE, 0), Ok(0));
    assert_eq!(file.ioctl(PAUSE, 0), Ok(0));
    let patient = machine.open("threaded").expect("/dev/threaded opens");
    let patient = machine.spawn("patient", move || measure(&patient));
    machine.settle();
    assert_eq!(file.ioctl(RESUME, 0), Ok(0));
    machine.settle();
    assert!(!patient.has_ended());
    assert_eq!(file.ioctl(RESUME, 0), Ok(0));
    assert_eq!(patient.join(), Ok(3));
    assert_eq!(file.ioctl(RESUME, 0), Err(code::EINVAL));
    say("paused twice, and resumed as often: only then was there a third".into());

    let programs = ["one", "other"].map(|name| {
        let file = machine.open("threaded").expect("/dev/threaded opens");
        machine.spawn(name, move || loop {
            if let Err(error) = measure(&file) {
                return error;
            }
        })
    });
    let pauses = machine.spawn("pauses", move || loop {
        for request in [PAUSE, RESUME] {
            if let Err(error) = file.ioctl(request, 0) {
                return error;
            }
        }
    });
    slot.unbind().expect("the device unbinds");
    for program in programs {
        assert_eq!(program.join(), code::ENODEV);
    }
    assert_eq!(pauses.join(), code::ENODEV);
    say("unbound while two measure and one pauses: each came back with ENODEV".into());

    module.unload().expect("the module unloads");
    slot.unplug();
    let ledger = machine.ledger();
    say(format!("the ledger: {ledger}"));
}

fn measure(file: &hosted::OpenFile) -> Result<i64, Error> {
    let mut number = [0; 8];
    file.read(&mut number).map(|length| {
        assert_eq!(length, 8);
        i64::from_ne_bytes(number)
    })
}

const PAUSE: u32 = kernel::ioctl::_IO('t' as u32, 1);
const RESUME: u32 = kernel::ioctl::_IO('t' as u32, 2);
