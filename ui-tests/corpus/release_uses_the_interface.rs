// An open file keeps no borrow of its interface: the last close would use one that was unplugged.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A key to random numbers was pulled out while a program had its node open. At the last close, release()
// named the interface in a message, which nobody had counted. (The sound card's memory is freed after the
// last close as well, and its private_free() used the USB device.)
//
// Corpus: chaoskey-release-dbg, caiaq-card-free-udev.

use devscope::{file::File, usb::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    prelude::*,
    sync::Arc,
    usb::{self, Interface},
};

/// One open file.
struct ChaosKeyFile {
    interface: &'static Interface,
}

struct ChaosKey;

kernel::usb_device_table!(TABLE, (), [(usb::DeviceId::from_id(0x0525, 0xa4a0), ())]);

impl Driver for ChaosKey {
    type IdInfo = ();
    type Data<'bound> = ();
    const ID_TABLE: usb::IdTable<()> = &TABLE;

    fn probe<'bound>(
        _interface: &'bound Interface<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<(), Error> + 'bound {
        Ok::<_, Error>(())
    }

    fn attach<'a>(
        interface: &'a Interface<Bound>,
        _data: Pin<&'a ()>,
        scope: &mut Scope<'a>,
    ) -> Result {
        scope.misc_device::<ChaosKeyFile>(c"chaoskey", interface)
    }
}

#[vtable]
impl File for ChaosKeyFile {
    type Device<'a> = &'a Interface;

    fn open(interface: &&Interface) -> Result<Arc<Self>> {
        Ok(Arc::new(ChaosKeyFile { interface }, GFP_KERNEL)?)
    }

    fn release(this: Arc<Self>) {
        dev_info!(this.interface, "released\n");
    }
}

devscope::module_usb_driver! {
    type: ChaosKey,
    name: "chaoskey",
    authors: ["The devscope authors"],
    description: "A source of random numbers",
    license: "GPL",
}

fn main() {}
