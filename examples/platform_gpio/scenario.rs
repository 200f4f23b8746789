// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What programs and a finger do to the `platform_gpio` driver.

use super::driver;
use kernel::{
    error::{code, Error},
    hosted::{Machine, OpenFile, PlatformInfo},
};

/// The button is pressed, first while a program waits for it, and then while the device is unbound. Told
/// line by line to `say`.
pub fn pressed_and_unbound(machine: &Machine, say: fn(String)) {
    let module = machine.load(&driver::MODULE).expect("the module loads");
    let slot = machine.add_platform(PlatformInfo {
        name: "button",
        compatible: Some("devscope,button"),
        irqs: 1,
        ..Default::default()
    });
    assert!(slot.is_bound());
    let button = slot.irq(0);

    let file = machine.open("platform_gpio").expect("the node opens");
    for press in 1..=2 {
        button.pulse();
        assert_eq!(pressed(&file), Ok(press));
    }
    assert_eq!(file.ioctl(PRESSED, 0), Ok(2));
    say("pressed twice, and read as often: 1, 2".into());

    let reader = machine.spawn("reader", move || loop {
        if let Err(error) = pressed(&file) {
            return error;
        }
    });
    let finger = machine.spawn("finger", move || (0..4).for_each(|_| button.pulse()));
    slot.unbind().expect("the device unbinds");
    assert_eq!(reader.join(), code::ENODEV);
    say("unbound while it was pressed and a program waited: that came back with ENODEV".into());

    slot.bind().expect("the device binds again");
    finger.join();
    module.unload().expect("the module unloads");
    slot.unplug();
    let ledger = machine.ledger();
    say(format!("the ledger: {ledger}"));
}

fn pressed(file: &OpenFile) -> Result<i64, Error> {
    let mut count = [0; 8];
    file.read(&mut count).map(|length| {
        assert_eq!(length, 8);
        i64::from_ne_bytes(count)
    })
}

const PRESSED: u32 = kernel::ioctl::_IO('b' as u32, 1);
