// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Probing registers a node, which a program opens at once, and then fails. The program goes on using what it
//! has opened, and closes it later.
//!
//! The drivers took the node away and freed the structure, and the last close freed it again. Here a file is
//! freed by its last close and nothing else, and it has nothing of the device. A character device stands in
//! for those of V4L2 and DVB. One driver fails when it cannot have its second node, one when the firmware
//! cannot be loaded.

use crate::{
    harness::reached,
    stage::{canary, touch, Data, Shape, Shaped},
};
use devscope::{
    cdev::Region,
    file::{File, Kiocb},
    wait::WaitQueue,
    Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    iov::IovIterDest,
    prelude::*,
    sync::{atomic::Atomic, Arc},
    time::{delay::fsleep, Delta},
    ModuleMetadata,
};
use std::{cell::Cell, marker::PhantomData, rc::Rc};

pub const BUGS: &[&str] = &["as102-kfree-after-register", "hackrf-kfree-after-register"];
pub const REACHES: &[&str] = &[
    "opened before attach() failed",
    "read before attach() failed",
    "refused: a read() that slept when attach() failed",
    "refused: a read() after attach() has failed",
    "refused: an ioctl() after attach() has failed",
    "refused: an open() that had found the node",
    "closed after attach() has failed",
];

static REGION: Region = Region::new(c"hackrf", 2);

const TUNE: u32 = 1;

pub struct Radio {
    buffers: KBox<Atomic<i64>>,
}

pub struct Device<'a> {
    radio: &'a Data<'a, Radio>,
    filled: WaitQueue<'a>,
    canary: KBox<Atomic<i64>>,
}

/// How `attach()` fails.
pub trait Fails: Send + Sync + 'static {
    type Module: ModuleMetadata;
    /// When it has both nodes, or since it cannot have the second.
    const BOTH_NODES: bool;
}

pub struct NoSecondNode;

impl Fails for NoSecondNode {
    type Module = no_second_node::Owner;
    const BOTH_NODES: bool = false;
}

pub struct NoFirmware;

impl Fails for NoFirmware {
    type Module = no_firmware::Owner;
    const BOTH_NODES: bool = true;
}

/// An open file.
struct Node<F> {
    own: KBox<Atomic<i64>>,
    _fails: PhantomData<F>,
}

#[vtable]
impl<F: Fails> File for Node<F> {
    type Device<'a> = Device<'a>;
    type OwnerModule = F::Module;

    fn open(dev: &Device<'_>) -> Result<Arc<Self>> {
        touch(&dev.canary);
        touch(&dev.radio.buffers);
        let node = Node {
            own: canary()?,
            _fails: PhantomData,
        };
        Ok(Arc::new(node, GFP_KERNEL)?)
    }

    /// Waits for what does not come any more.
    fn read_iter(
        &self,
        dev: &Device<'_>,
        _: &mut Kiocb<'_>,
        _: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        touch(&self.own);
        reached("read before attach() failed");
        dev.filled
            .wait_until(|| false)
            .inspect_err(|_| reached("refused: a read() that slept when attach() failed"))?;
        Ok(0)
    }

    fn ioctl(&self, dev: &Device<'_>, _: u32, _: usize) -> Result<isize> {
        touch(&dev.canary);
        touch(&dev.radio.buffers);
        Ok(0)
    }

    fn release(this: Arc<Self>) {
        touch(&this.own);
    }
}

driver!(no_second_node, super::Driver<super::NoSecondNode>);
driver!(no_firmware, super::Driver<super::NoFirmware>);
pub struct Driver<F>(PhantomData<F>);

impl<F: Fails> Shape for Driver<F> {
    type Own = Radio;

    fn own() -> impl PinInit<Radio, Error> {
        try_init!(Radio {
            buffers: canary()?,
        }? Error)
    }

    fn attach<'a>(radio: &'a Data<'_, Radio>, scope: &mut Scope<'a>) -> Result {
        let filled = scope.wait_queue()?;
        let minors = scope.minors(&REGION, 2, radio.pdev.as_ref())?;
        let device = || -> Result<_> {
            Ok(Device {
                radio,
                filled,
                canary: canary()?,
            })
        };
        scope.cdev::<Node<F>>(minors, 0, fmt!("rx"), device()?)?;
        // From here on programs have it.
        fsleep(Delta::from_micros(500));
        let second = if F::BOTH_NODES { "tx" } else { "rx" };
        scope.cdev::<Node<F>>(minors, 1, fmt!("{second}"), device()?)?;
        fsleep(Delta::from_micros(500));
        radio.fail(ENOENT)
    }
}

pub fn scenario(machine: &Machine) {
    let m = *machine;
    let over = Rc::new(Cell::new(false));
    let program = machine.spawn("program", {
        let over = over.clone();
        move || loop {
            match m.open("rx") {
                Ok(file) => {
                    if !over.get() {
                        reached("opened before attach() failed");
                    }
                    if file.ioctl(TUNE, 0).is_ok() && m.choose(2) == 0 {
                        assert_eq!(file.read(&mut [0]), Err(ENODEV));
                    }
                    return Some(file);
                }
                Err(ENOENT) if !over.get() => kernel::hosted::relax(),
                Err(error) => {
                    if error == ENODEV {
                        reached("refused: an open() that had found the node");
                    }
                    return None;
                }
            }
        }
    });
    let module = match machine.choose(2) {
        0 => &no_second_node::MODULE,
        _ => &no_firmware::MODULE,
    };
    let module = machine.load(module).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    over.set(true);
    if let Some(file) = program.join() {
        assert_eq!(module.unload(), Err(EAGAIN));
        assert_eq!(file.read(&mut [0]), Err(ENODEV));
        reached("refused: a read() after attach() has failed");
        assert_eq!(file.ioctl(TUNE, 0), Err(ENODEV));
        reached("refused: an ioctl() after attach() has failed");
        file.close().expect("close() succeeds");
        reached("closed after attach() has failed");
    }
    module.unload().expect("the module unloads");
    slot.unplug();
}
