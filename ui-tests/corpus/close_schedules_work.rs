// release() schedules nothing of the device: the last close would start work that is freed.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Closing a sound stream powers its widgets down, a while later, by delayed work. Unbinding the card flushed
// that work, and then closed the streams that were open, which scheduled it again. (Closing the Bluetooth
// device schedules the power-save work, and remove() closes it.)
//
// Corpus: asoc-core-close-delayed, btnxpuart-ps-work.

use devscope::{file::File, platform::Driver, work::DelayedWork, Scope};
use kernel::{
    device::{Bound, Core},
    of, platform,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
    time::msecs_to_jiffies,
};

/// How long after the stream, in milliseconds.
const PMDOWN_TIME: u32 = 5000;

/// What the card switches on and off.
struct Widgets {
    powered: Atomic<i32>,
}

/// What a stream of the card may use.
struct Runtime<'a> {
    widgets: &'a Widgets,
    close_delayed_work: DelayedWork<'a>,
}

struct Pcm;

struct Card;

kernel::of_device_table!(TABLE, (), [(of::DeviceId::new(c"devscope,card"), ())]);

impl Driver for Card {
    type IdInfo = ();
    type Data<'bound> = Widgets;
    const OF_ID_TABLE: Option<of::IdTable<()>> = Some(&TABLE);

    fn probe<'bound>(
        _dev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Widgets, Error> + 'bound {
        let powered = Atomic::new(0);
        Ok::<_, Error>(Widgets { powered })
    }

    fn attach<'a>(
        _dev: &'a platform::Device<Bound>,
        widgets: Pin<&'a Widgets>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let widgets = widgets.get_ref();
        let close_delayed_work = scope.delayed_work(move || widgets.powered.store(0, Relaxed))?;
        let runtime = Runtime {
            widgets,
            close_delayed_work,
        };
        scope.misc_device::<Pcm>(c"pcm", runtime)
    }
}

#[vtable]
impl File for Pcm {
    type Device<'a> = Runtime<'a>;

    fn open(rtd: &Runtime<'_>) -> Result<Arc<Self>> {
        rtd.widgets.powered.store(1, Relaxed);
        Ok(Arc::new(Pcm, GFP_KERNEL)?)
    }

    fn release(_this: Arc<Self>, rtd: &Runtime<'_>) {
        rtd.close_delayed_work
            .schedule(msecs_to_jiffies(PMDOWN_TIME));
    }
}

devscope::module_platform_driver! {
    type: Card,
    name: "card",
    authors: ["The devscope authors"],
    description: "A sound card",
    license: "GPL",
}

fn main() {}
