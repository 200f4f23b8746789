// A descriptor has one owner: terminate_all() would free it under the tasklet that completes it.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The interrupt of a DMA channel schedules a tasklet, which completes the stream's descriptor. Stopping the
// stream freed the descriptor at once, while the tasklet of the last interrupt was still to run. The ioctls
// stand in for the client that has the stream.
//
// Corpus: tegra-adma-vchan-tasklet.

use devscope::{file::File, part::Part, platform::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    irq::{Flags, IrqReturn},
    new_mutex, of, platform,
    prelude::*,
    sync::{
        atomic::{Atomic, Full},
        Arc, Mutex,
    },
};

/// What stands in for starting the stream; any other number stops it.
const START: u32 = 1;

/// What a stream transfers.
struct Desc {
    periods: Atomic<i32>,
}

impl Desc {
    fn new() -> Result<KBox<Self>> {
        let periods = Atomic::new(0);
        Ok(KBox::new(Desc { periods }, GFP_KERNEL)?)
    }

    /// vchan_complete()
    fn complete(&self) {
        self.periods.fetch_add(1, Full);
    }
}

#[pin_data]
struct Channel {
    /// The descriptor that is being transferred.
    #[pin]
    active: Mutex<Option<KBox<Desc>>>,
}

struct AdmaDevice<'a> {
    dev: &'a platform::Device<Bound>,
    channel: &'a Channel,
    stream: Part<'a, ()>,
}

impl AdmaDevice<'_> {
    fn start(&self) -> Result {
        let line = self.dev.irq_by_index(0)?;
        let desc = Desc::new()?;
        self.stream.begin(Ok::<_, Error>(()), |_, scope| {
            let complete = scope.tasklet(move || desc.complete())?;
            scope.irq(line, Flags::TRIGGER_NONE, c"adma", move || {
                complete.schedule();
                IrqReturn::Handled
            })?;
            Ok(())
        })?;
        *self.channel.active.lock() = Some(desc);
        Ok(())
    }

    fn terminate_all(&self) -> Result {
        *self.channel.active.lock() = None;
        self.stream.end()
    }
}

struct AdmaFile;

struct Adma;

kernel::of_device_table!(TABLE, (), [(of::DeviceId::new(c"devscope,adma"), ())]);

impl Driver for Adma {
    type IdInfo = ();
    type Data<'bound> = Channel;
    const OF_ID_TABLE: Option<of::IdTable<()>> = Some(&TABLE);

    fn probe<'bound>(
        _dev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Channel, Error> + 'bound {
        try_pin_init!(Channel {
            active <- new_mutex!(None),
        })
    }

    fn attach<'a>(
        dev: &'a platform::Device<Bound>,
        channel: Pin<&'a Channel>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let channel = channel.get_ref();
        let stream = scope.part()?;
        let device = AdmaDevice {
            dev,
            channel,
            stream,
        };
        scope.misc_device::<AdmaFile>(c"adma", device)
    }
}

#[vtable]
impl File for AdmaFile {
    type Device<'a> = AdmaDevice<'a>;

    fn open(_dev: &AdmaDevice<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(AdmaFile, GFP_KERNEL)?)
    }

    fn ioctl(&self, dev: &AdmaDevice<'_>, cmd: u32, _arg: usize) -> Result<isize> {
        match cmd {
            START => dev.start()?,
            _ => dev.terminate_all()?,
        }
        Ok(0)
    }
}

devscope::module_platform_driver! {
    type: Adma,
    name: "adma",
    authors: ["The devscope authors"],
    description: "A channel of an audio DMA engine",
    license: "GPL",
}

fn main() {}
