// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What programs and the hardware do to the `multivector` driver.

use super::driver;
use kernel::{
    error::{code, Error},
    hosted::{e1000e::E1000e, Machine, OpenFile},
};

/// How many queues the driver has.
const QUEUES: usize = 4;

/// Programs raise the vector of each queue, first to their end, and then until the device is unbound
/// while the hardware does so, too. Told line by line to `say`.
pub fn each_vector_has_its_own(machine: &Machine, say: fn(String)) {
    let module = machine.load(&driver::MODULE).expect("the module loads");
    let device = E1000e::new();
    let slot = machine.plug_pci(device.clone());
    assert!(slot.is_bound());

    let file = machine.open("multivector").expect("the node opens");
    for queue in 0..QUEUES {
        for _ in 0..=queue {
            assert_eq!(raise(&file, queue), Ok(()));
        }
    }
    let counts: Vec<_> = (0..QUEUES).map(|queue| file.ioctl(COUNT, queue)).collect();
    assert_eq!(counts, [Ok(1), Ok(2), Ok(3), Ok(4)]);
    assert_eq!(raise(&file, QUEUES), Err(code::EINVAL));
    say("four vectors, raised once, twice, three times and four times: 1, 2, 3, 4".into());

    let programs: Vec<_> = (0..QUEUES)
        .map(|queue| {
            let file = machine.open("multivector").expect("the node opens");
            machine.spawn("program", move || loop {
                if let Err(error) = raise(&file, queue) {
                    return error;
                }
            })
        })
        .collect();
    let hardware = machine.spawn("hardware", move || {
        for causes in [0x00f0_0000, 0x0010_0000, 0x00f0_0000] {
            device.raise(causes);
        }
    });
    slot.unbind().expect("the device unbinds");
    for program in programs {
        assert_eq!(program.join(), code::ENODEV);
    }
    hardware.join();
    file.close().expect("close() succeeds");
    say(
        "unbound while four programs and the hardware raise: each program came back with ENODEV"
            .into(),
    );

    module.unload().expect("the module unloads");
    slot.unplug();
    let ledger = machine.ledger();
    say(format!("the ledger: {ledger}"));
}

fn raise(file: &OpenFile, queue: usize) -> Result<(), Error> {
    file.ioctl(RAISE, queue).map(drop)
}

const RAISE: u32 = kernel::ioctl::_IOW::<u32>('m' as u32, 1);
const COUNT: u32 = kernel::ioctl::_IOW::<u32>('m' as u32, 2);
