// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Case 2 with devscope: a device node, and a file that stays open.
//!
//! What one `open()` made is a value of its own, [`Case2File`], which lives until the last close and
//! cannot contain a borrow of the device. What it uses of the device while there is one, it is
//! given. `release()` is given nothing, because there may be nothing left.

#![forbid(unsafe_code)]

use devscope::{
    file::{File, Kiocb},
    pci::Driver,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    iov::IovIterDest,
    pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

struct Case2;

/// Everything passive: how many files were opened since the device was bound.
struct Data {
    opened: Atomic<i32>,
}

/// One open file: which one it is.
struct Case2File {
    number: u8,
}

kernel::pci_device_table!(
    PCI_TABLE,
    <Case2 as Driver>::IdInfo,
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Case2 {
    type IdInfo = ();
    type Data<'bound> = Data;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        _dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Data, Error> + 'bound {
        Ok(Data {
            opened: Atomic::new(0),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data>,
        scope: &mut Scope<'a>,
    ) -> Result {
        scope.misc_device::<Case2File>(c"case2", data.get_ref())
    }
}

#[vtable]
impl File for Case2File {
    type Device<'a> = &'a Data;

    fn open(data: &Self::Device<'_>) -> Result<Arc<Self>> {
        let number = data.opened.fetch_add(1, Relaxed) as u8;
        Ok(Arc::new(Case2File { number }, GFP_KERNEL)?)
    }

    /// Reads two bytes: which file this is, and how many were opened by now.
    fn read_iter(
        &self,
        data: &Self::Device<'_>,
        _kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        Ok(to.copy_to_iter(&[self.number, data.opened.load(Relaxed) as u8]))
    }

    fn release(this: Arc<Self>) {
        pr_info!("case2: file {} closed\n", this.number);
    }
}

devscope::module_pci_driver! {
    type: Case2,
    name: "case2",
    authors: ["The devscope authors"],
    description: "A device node whose files stay open",
    license: "GPL",
}
