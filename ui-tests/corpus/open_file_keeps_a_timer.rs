// An open file keeps no timer of the device: it would go off after unbind, into data that is freed.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A game pad plays effects by a timer that calls into its driver. The timer belonged to the input device,
// which lives until the last close, and was stopped there; the driver's data was freed at unbind.
//
// Corpus: ff-core-stop.

use devscope::{file::File, timer::Timer, usb::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
    usb::{self, Interface},
};

/// The driver's own: what it plays effects with.
struct Pad {
    rumble: Atomic<i32>,
}

/// One open file, with what plays its effect.
struct Effects {
    timer: Timer<'static>,
}

struct GamePad;

kernel::usb_device_table!(TABLE, (), [(usb::DeviceId::from_id(0x0525, 0xa4a0), ())]);

impl Driver for GamePad {
    type IdInfo = ();
    type Data<'bound> = Pad;
    const ID_TABLE: usb::IdTable<()> = &TABLE;

    fn probe<'bound>(
        _interface: &'bound Interface<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Pad, Error> + 'bound {
        let rumble = Atomic::new(0);
        Ok::<_, Error>(Pad { rumble })
    }

    fn attach<'a>(
        _interface: &'a Interface<Bound>,
        pad: Pin<&'a Pad>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let play = scope.timer(move || pad.rumble.store(1, Relaxed))?;
        scope.misc_device::<Effects>(c"gamepad", play)
    }
}

#[vtable]
impl File for Effects {
    type Device<'a> = Timer<'a>;

    fn open(play: &Timer<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Effects { timer: *play }, GFP_KERNEL)?)
    }

    fn ioctl(&self, _play: &Timer<'_>, _cmd: u32, delay: usize) -> Result<isize> {
        self.timer.start(delay);
        Ok(0)
    }

    fn release(this: Arc<Self>) {
        this.timer.stop();
    }
}

devscope::module_usb_driver! {
    type: GamePad,
    name: "gamepad",
    authors: ["The devscope authors"],
    description: "A game pad that rumbles",
    license: "GPL",
}

fn main() {}
