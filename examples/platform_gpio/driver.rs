// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A push button on a GPIO line: a platform device whose interrupt is that of the line.
//!
//! Programs read how often the button was pressed since the device was bound; `read()` sleeps until that
//! has changed. GPIO lines are often behind a slow bus, so the handler is all thread.
//!
//! On Linux the line is one of `gpio-sim`, and `linux/c/gpio_button.c` makes the platform device for it. In
//! a devicetree the node would have `interrupts-extended = <&gpio 0 IRQ_TYPE_EDGE_RISING>`.

#![forbid(unsafe_code)]

use devscope::{
    file::{File, Kiocb},
    platform::Driver,
    wait::WaitQueue,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    ioctl::_IO,
    iov::IovIterDest,
    irq::{Flags, IrqReturn},
    of, platform,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Relaxed},
        Arc,
    },
};

/// How often the button was pressed.
const BUTTON_PRESSED: u32 = _IO('b' as u32, 1);

/// Everything passive.
struct ButtonData {
    pressed: Atomic<i64>,
}

/// What operations on `/dev/platform_gpio` may use while the device is bound.
struct ButtonDevice<'a> {
    data: &'a ButtonData,
    presses: WaitQueue<'a>,
}

struct Button;

kernel::of_device_table!(
    OF_TABLE,
    <Button as Driver>::IdInfo,
    [(of::DeviceId::new(c"devscope,button"), ())]
);

impl Driver for Button {
    type IdInfo = ();
    type Data<'bound> = ButtonData;
    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = Some(&OF_TABLE);

    fn probe<'bound>(
        _dev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<ButtonData, Error> + 'bound {
        Ok::<_, Error>(ButtonData {
            pressed: Atomic::new(0),
        })
    }

    fn attach<'a>(
        dev: &'a platform::Device<Bound>,
        data: Pin<&'a ButtonData>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let presses = scope.wait_queue()?;
        let line = dev.irq_by_index(0)?;
        scope.oneshot_irq(line, Flags::TRIGGER_RISING, c"platform_gpio", move || {
            data.pressed.fetch_add(1, Full);
            presses.wake_all();
            IrqReturn::Handled
        })?;
        scope.misc_device::<ButtonFile>(c"platform_gpio", ButtonDevice { data, presses })
    }
}

/// What one `open()` made.
struct ButtonFile {
    /// How many presses were read.
    seen: Atomic<i64>,
}

#[vtable]
impl File for ButtonFile {
    type Device<'a> = ButtonDevice<'a>;

    fn open(_dev: &ButtonDevice<'_>) -> Result<Arc<Self>> {
        let seen = Atomic::new(0);
        Ok(Arc::new(ButtonFile { seen }, GFP_KERNEL)?)
    }

    /// How often the button was pressed, if that is not what was read last: 64 bits, in the machine's byte
    /// order. Sleeps until it is.
    fn read_iter(
        &self,
        dev: &ButtonDevice<'_>,
        kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let pressed = || dev.data.pressed.load(Acquire);
        let is_news = || pressed() != self.seen.load(Relaxed);
        if kiocb.nonblocking() && !is_news() {
            return Err(EAGAIN);
        }
        dev.presses.wait_until(is_news)?;
        let now = pressed();
        self.seen.store(now, Relaxed);
        match to.copy_to_iter(&now.to_ne_bytes()) {
            0 => Err(EFAULT),
            len => Ok(len),
        }
    }

    fn ioctl(&self, dev: &ButtonDevice<'_>, cmd: u32, _arg: usize) -> Result<isize> {
        match cmd {
            BUTTON_PRESSED => Ok(dev.data.pressed.load(Relaxed) as isize),
            _ => Err(ENOTTY),
        }
    }
}

devscope::module_platform_driver! {
    type: Button,
    name: "platform_gpio",
    authors: ["The devscope authors"],
    description: "A push button on a GPIO line",
    license: "GPL",
}
