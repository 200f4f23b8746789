// What unbind() uses stays in the data, and the registration borrows it.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A USB bridge registers an interface, whose release frees the driver's structure. disconnect() took the
// registration back, and went on to free members of the structure.
//
// Corpus: most-usb-hdm-disconnect.

use devscope::{file::File, usb::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SetOnce,
    },
    usb::{self, Interface},
};

/// The driver's structure.
struct Mdev {
    channels: Atomic<i32>,
}

impl Mdev {
    fn new() -> Result<KBox<Self>> {
        let channels = Atomic::new(0);
        Ok(KBox::new(Mdev { channels }, GFP_KERNEL)?)
    }

    fn free_channels(&self) {
        self.channels.store(0, Relaxed);
    }
}

struct Hdm {
    /// For unbind().
    mdev: SetOnce<KBox<Mdev>>,
}

/// What is registered.
struct MostInterface<'a> {
    mdev: &'a Mdev,
    intf: &'a Interface,
}

struct MostFile;

struct MostUsb;

kernel::usb_device_table!(TABLE, (), [(usb::DeviceId::from_id(0x0525, 0xa4a0), ())]);

impl Driver for MostUsb {
    type IdInfo = ();
    type Data<'bound> = Hdm;
    const ID_TABLE: usb::IdTable<()> = &TABLE;

    fn probe<'bound>(
        _intf: &'bound Interface<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Hdm, Error> + 'bound {
        let mdev = SetOnce::new();
        Ok::<_, Error>(Hdm { mdev })
    }

    fn attach<'a>(intf: &'a Interface<Bound>, hdm: Pin<&'a Hdm>, scope: &mut Scope<'a>) -> Result {
        let hdm = hdm.get_ref();
        let mdev = Mdev::new()?;
        hdm.mdev.populate(mdev);
        let mdev = hdm.mdev.as_ref().ok_or(EBUSY)?;
        scope.misc_device::<MostFile>(c"mdev", MostInterface { mdev, intf })
    }

    fn unbind(_intf: &Interface<Core<'_>>, hdm: Pin<&Hdm>) {
        if let Some(mdev) = hdm.mdev.as_ref() {
            mdev.free_channels();
        }
    }
}

#[vtable]
impl File for MostFile {
    type Device<'a> = MostInterface<'a>;

    fn open(iface: &MostInterface<'_>) -> Result<Arc<Self>> {
        dev_info!(iface.intf, "opened\n");
        Ok(Arc::new(MostFile, GFP_KERNEL)?)
    }

    fn ioctl(&self, iface: &MostInterface<'_>, _cmd: u32, _arg: usize) -> Result<isize> {
        iface.mdev.channels.add(1, Relaxed);
        Ok(0)
    }
}

devscope::module_usb_driver! {
    type: MostUsb,
    name: "most",
    authors: ["The devscope authors"],
    description: "A bridge to another bus",
    license: "GPL",
}

fn main() {}
