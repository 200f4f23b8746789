// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What programs do to the `timers` driver.

use super::driver;
use kernel::{
    error::code,
    hosted::{edu::Edu, Machine},
};

/// The cycle goes round, and the device is unbound while one program waits for answers and another
/// starts the cycle again and again. Told line by line to `say`.
pub fn unbound_while_it_goes_round(machine: &Machine, say: fn(String)) {
    let module = machine.load(&driver::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(slot.is_bound());

    let file = machine.open("timers").expect("/dev/timers opens");
    assert_eq!(file.ioctl(TIMERS_START, 0), Ok(0));
    let reader = machine.open("timers").expect("/dev/timers opens");
    let reader = machine.spawn("reader", move || {
        let mut answer = [0; 4];
        loop {
            match reader.read(&mut answer) {
                Ok(read) => assert_eq!((read, u32::from_ne_bytes(answer)), (4, 3_628_800)),
                Err(error) => return error,
            }
        }
    });
    while file.ioctl(TIMERS_ASKED, 0).expect("the device is bound") < 2 {
        machine.preempt();
    }
    assert!(file.ioctl(TIMERS_POLLED, 0).expect("the device is bound") > 0);
    say("the device was asked by work, and polled by an hrtimer, twice".into());

    let starter = machine.spawn("starter", move || loop {
        match file.ioctl(TIMERS_START, 0) {
            Ok(_) => {}
            Err(error) => return error,
        }
    });
    slot.unbind().expect("the device unbinds");
    assert_eq!(reader.join(), code::ENODEV);
    assert_eq!(starter.join(), code::ENODEV);
    say("unbound while it went round: both programs came back with ENODEV".into());

    module.unload().expect("the module unloads");
    slot.unplug();
    let ledger = machine.ledger();
    say(format!("the ledger: {ledger}"));
}

const TIMERS_START: u32 = kernel::ioctl::_IO('t' as u32, 1);
const TIMERS_ASKED: u32 = kernel::ioctl::_IO('t' as u32, 2);
const TIMERS_POLLED: u32 = kernel::ioctl::_IO('t' as u32, 3);
