// A device side hides no short borrow in a closure's type: programs would use a stack that is gone.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// rust-lang/rust#84366: a closure's lifetime does not cover its signature. The bound of
// `Device<'a>` catches this form of it; one that names the type through a projection is rustc's
// to mend.

use core::{marker::PhantomData, ops::Deref};
use devscope::{file::File, pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

struct DemoFile<F>(PhantomData<F>);

fn register<'a, F, R>(_: F, scope: &mut Scope<'a>, device: R) -> Result
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Deref<Target = Atomic<i32>> + Send + Sync,
{
    scope.misc_device::<DemoFile<F>>(c"demo", device)
}

/// rustc takes the closure for `'static`, whatever `'short` is.
fn register_for<'short>(scope: &mut Scope<'_>, events: &'short Atomic<i32>) -> Result {
    register(|| -> &'short Atomic<i32> { loop {} }, scope, events)
}

#[pin_data]
struct Data<'bound> {
    vectors: pci::IrqVectorRegistration<'bound>,
    events: Atomic<i32>,
}

struct Demo;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Demo {
    type IdInfo = ();
    type Data<'bound> = Data<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        try_pin_init!(Data {
            vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
            events: Atomic::new(0),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        _data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let local = Atomic::new(1);
        register_for(scope, &local)
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, data: Pin<&Data<'_>>) {
        pr_info!(
            "{} vectors, {} events\n",
            data.vectors.len(),
            data.events.load(Relaxed)
        );
    }
}

#[vtable]
impl<F, R> File for DemoFile<F>
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Deref<Target = Atomic<i32>> + Send + Sync,
{
    type Device<'a> = R;

    fn open(_events: &R) -> Result<Arc<Self>> {
        Ok(Arc::new(DemoFile(PhantomData), GFP_KERNEL)?)
    }

    fn ioctl(&self, events: &R, _cmd: u32, _arg: usize) -> Result<isize> {
        Ok(events.load(Relaxed) as isize)
    }
}

devscope::module_pci_driver! {
    type: Demo,
    name: "demo",
    authors: ["The devscope authors"],
    description: "A demonstration",
    license: "GPL",
}

fn main() {}
