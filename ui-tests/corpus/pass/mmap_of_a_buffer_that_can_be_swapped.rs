// What a program maps stays; a mode says how much of it is used.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A display on USB has its frame buffer in memory, and programs map it. Setting a mode allocated another
// buffer and freed the mapped one. (The other display's mmap() takes the region that one ioctl puts in place,
// and another ioctl frees its memory.)
//
// Corpus: udlfb-mmap-vfree, omapfb-mmap-region-swap.

use devscope::{
    file::File,
    mmap::{Area, Mapping, Pages},
    usb::Driver,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
    usb::{self, Interface},
};

#[pin_data]
struct Display {
    /// For the greatest mode.
    backing: Pages,
    #[pin]
    used: Mutex<usize>,
}

impl Display {
    /// Sets a mode, whose image takes so many pages.
    fn set_par(&self, pages: usize) -> Result {
        if pages > self.backing.count() {
            return Err(EINVAL);
        }
        *self.used.lock() = pages;
        Ok(())
    }
}

struct FrameBuffer;

struct Udlfb;

kernel::usb_device_table!(TABLE, (), [(usb::DeviceId::from_id(0x0525, 0xa4a0), ())]);

impl Driver for Udlfb {
    type IdInfo = ();
    type Data<'bound> = Display;
    const ID_TABLE: usb::IdTable<()> = &TABLE;

    fn probe<'bound>(
        _interface: &'bound Interface<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Display, Error> + 'bound {
        try_pin_init!(Display {
            backing: Pages::new(16)?,
            used <- new_mutex!(1),
        })
    }

    fn attach<'a>(
        _interface: &'a Interface<Bound>,
        display: Pin<&'a Display>,
        scope: &mut Scope<'a>,
    ) -> Result {
        scope.misc_device::<FrameBuffer>(c"udlfb", display.get_ref())
    }
}

#[vtable]
impl File for FrameBuffer {
    type Device<'a> = &'a Display;

    fn open(_display: &&Display) -> Result<Arc<Self>> {
        Ok(Arc::new(FrameBuffer, GFP_KERNEL)?)
    }

    fn ioctl(&self, display: &&Display, _cmd: u32, pages: usize) -> Result<isize> {
        display.set_par(pages)?;
        Ok(0)
    }

    fn mmap<'a>(&self, display: &&'a Display, _area: &Area<'a>) -> Result<Mapping<'a>> {
        Ok(Mapping::pages(&display.backing))
    }
}

devscope::module_usb_driver! {
    type: Udlfb,
    name: "udlfb",
    authors: ["The devscope authors"],
    description: "A display on USB",
    license: "GPL",
}

fn main() {}
