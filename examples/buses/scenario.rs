// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What programs do to the drivers of `counter.rs`, and how their devices are taken away meanwhile.

use kernel::{
    error::code::ENODEV,
    hosted::{edu::Edu, DeviceSlot, I2cInfo, Machine, ModuleInfo, UsbInfo},
};

/// One program reads and one writes while `away` takes the device away. Both are told.
fn taken_away(machine: &Machine, node: &'static str, away: impl FnOnce()) {
    let program = |name, use_it: fn(&kernel::hosted::OpenFile) -> bool| {
        let file = machine.open(node).expect("the node opens");
        machine.spawn(name, move || {
            while use_it(&file) {}
            file
        })
    };
    let reader = program("reader", |file| match file.read(&mut [0]) {
        Ok(length) => length == 1,
        Err(error) => {
            assert_eq!(error, ENODEV);
            false
        }
    });
    let writer = program("writer", |file| match file.write(b"count") {
        Ok(length) => length == 5,
        Err(error) => {
            assert_eq!(error, ENODEV);
            false
        }
    });
    away();
    for program in [reader, writer] {
        let file = program.join();
        assert_eq!(file.read(&mut [0]), Err(ENODEV));
        file.close().expect("the old file closes");
    }
    assert!(machine.open(node).is_err());
}

/// A count is asked for, and waited for.
fn counts(machine: &Machine, node: &str) -> u8 {
    let file = machine.open(node).expect("the node opens");
    let mut count = [0];
    assert_eq!(file.write(b"count"), Ok(5));
    assert_eq!(file.read(&mut count), Ok(1));
    file.close().expect("the file closes");
    count[0]
}

/// A device that others add and take away.
fn hardware(
    machine: &Machine,
    module: &'static ModuleInfo,
    node: &'static str,
    plug: impl Fn() -> DeviceSlot,
    say: fn(String),
) {
    let module = machine.load(module).expect("the module loads");
    let slot = plug();
    assert!(slot.is_bound());
    // The entry of the table says that the counter begins with 7.
    assert_eq!(counts(machine, node), 8);
    say(format!("{node}: bound, and counts"));
    taken_away(machine, node, || slot.unbind().expect("the device unbinds"));
    slot.bind().expect("the device binds again");
    assert_eq!(counts(machine, node), 8);
    say(format!("{node}: unbound while in use, and bound again"));
    taken_away(machine, node, || slot.unplug());
    say(format!("{node}: removed while in use"));
    let slot = plug();
    assert!(slot.is_bound());
    module.unload().expect("the module unloads");
    assert!(!slot.is_bound());
    slot.unplug();
}

pub fn i2c(machine: &Machine, module: &'static ModuleInfo, say: fn(String)) {
    let machine = *machine;
    let plug = move || {
        machine.add_i2c(I2cInfo {
            name: "devscope",
            address: 0x20,
            ..Default::default()
        })
    };
    hardware(&machine, module, "on_i2c", plug, say);
}

pub fn usb(machine: &Machine, module: &'static ModuleInfo, say: fn(String)) {
    let machine = *machine;
    let plug = move || {
        machine.plug_usb(UsbInfo {
            id: (0x0525, 0xa4a0),
            ..Default::default()
        })
    };
    hardware(&machine, module, "on_usb", plug, say);
}

pub fn faux(machine: &Machine, module: &'static ModuleInfo, say: fn(String)) {
    for _ in 0..2 {
        let loaded = machine.load(module).expect("the module loads");
        assert_eq!(counts(machine, "on_faux"), 1);
        let file = machine.open("on_faux").expect("the node opens");
        assert_eq!(file.write(b"count"), Ok(5));
        file.close().expect("the file closes");
        // What was asked for may still be going on.
        loaded.unload().expect("the module unloads");
        assert!(machine.open("on_faux").is_err());
    }
    say("on_faux: loaded and unloaded twice".into());
}

pub fn auxiliary(machine: &Machine, module: &'static ModuleInfo, say: fn(String)) {
    const NODE: &str = "on_auxiliary";
    let module = machine.load(module).expect("the module loads");
    let parent = machine.plug_pci(Edu::new());
    let child = machine
        .device("on_auxiliary.counter.0")
        .expect("the parent makes a device");
    assert!(child.is_bound());
    assert_eq!(counts(machine, NODE), 1);
    taken_away(machine, NODE, || child.unbind().expect("the child unbinds"));
    child.bind().expect("the child binds again");
    // It is the parent's count, and the parent has been there all the time.
    assert!(counts(machine, NODE) >= 2);
    say(format!(
        "{NODE}: the child went while in use, and came back"
    ));
    taken_away(machine, NODE, || {
        parent.unbind().expect("the parent unbinds")
    });
    assert!(machine.device("on_auxiliary.counter.0").is_none());
    parent.bind().expect("the parent binds again");
    assert_eq!(counts(machine, NODE), 1);
    say(format!(
        "{NODE}: the parent went, its child in use, and both came back"
    ));
    let file = machine.open(NODE).expect("the node opens");
    assert_eq!(file.write(b"count"), Ok(5));
    file.close().expect("the file closes");
    module.unload().expect("the module unloads");
    parent.unplug();
}
