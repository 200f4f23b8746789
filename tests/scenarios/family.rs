// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A parent on the platform bus, and its child on the auxiliary bus, which lives by what the parent lends:
//! the parent's queue, its work item, and memory that the parent's scope owns.

use devscope::{
    auxiliary,
    file::{File, Kiocb},
    platform,
    wait::WaitQueue,
    work::Work,
    Scope,
};
use kernel::{
    auxiliary::{Device, DeviceId, IdTable},
    device::{Bound, Core},
    driver::Registration,
    hosted::{Machine, ModuleInfo, PlatformInfo},
    iov::IovIterDest,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
    types::CovariantForLt,
    InPlaceModule,
};

/// What the parent has.
struct Own {
    /// In memory that goes with the data: who comes too late touches freed memory.
    count: KBox<Atomic<i64>>,
    /// Whether `attach()` is to fail when the child is there.
    fails: bool,
}

/// What it lends of that.
struct Lent<'a> {
    own: &'a Own,
    counted: WaitQueue<'a>,
    counting: Work<'a>,
}

type LentForLt = CovariantForLt!(Lent<'_>);

struct Parent<const FAILS: bool>;

impl<const FAILS: bool> platform::Driver for Parent<FAILS> {
    type IdInfo = ();
    type Data<'bound> = Own;

    fn probe<'bound>(
        _dev: &'bound kernel::platform::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Own, Error> + 'bound {
        KBox::new(Atomic::new(0), GFP_KERNEL)
            .map(|count| Own {
                count,
                fails: FAILS,
            })
            .map_err(Error::from)
    }

    fn attach<'a>(
        dev: &'a kernel::platform::Device<Bound>,
        own: Pin<&'a Own>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let own = own.get_ref();
        let counted = scope.wait_queue()?;
        let counting = scope.work(move || {
            own.count.add(1, Relaxed);
            counted.wake_all();
        })?;
        let lent = Lent {
            own,
            counted,
            counting,
        };
        scope.auxiliary_device::<LentForLt>(dev.as_ref(), c"family", c"child", 3, Ok(lent))?;
        match own.fails {
            true => Err(EIO),
            false => Ok(()),
        }
    }
}

struct Child;

kernel::auxiliary_device_table!(
    AUXILIARY_TABLE,
    <Child as auxiliary::Driver>::IdInfo,
    [(DeviceId::new(c"family", c"child"), 9)]
);

impl auxiliary::Driver for Child {
    type IdInfo = i32;
    type Data<'bound> = &'bound Lent<'bound>;
    const ID_TABLE: IdTable<i32> = &AUXILIARY_TABLE;

    fn probe<'bound>(
        dev: &'bound Device<Core<'_>>,
        info: Option<&'bound i32>,
    ) -> impl PinInit<&'bound Lent<'bound>, Error> + 'bound {
        assert_eq!((dev.id(), info), (3, Some(&9)));
        // Another type than the one that was lent is refused.
        assert!(dev.registration_data::<CovariantForLt!(&i32)>() == Err(EINVAL));
        dev.registration_data::<LentForLt>()
            .map(|lent| lent.get_ref())
    }

    fn attach<'a>(
        _dev: &'a Device<Bound>,
        lent: Pin<&'a &Lent<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let lent: &'a Lent<'a> = lent.get_ref();
        let busy = scope.work(move || {
            lent.counting.schedule();
            lent.own.count.add(1, Relaxed);
        })?;
        busy.schedule();
        scope.misc_device::<Waits>(c"family", lent)
    }

    fn unbind(_dev: &Device<Core<'_>>, lent: Pin<&&Lent<'_>>) {
        // The parent is all there.
        lent.counting.schedule();
    }
}

/// A file of the child's that waits on the parent's queue.
struct Waits;

#[vtable]
impl File for Waits {
    type Device<'a> = &'a Lent<'a>;

    fn open(_lent: &Self::Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Waits, GFP_KERNEL)?)
    }

    fn read_iter(
        &self,
        lent: &Self::Device<'_>,
        _kiocb: &mut Kiocb<'_>,
        _to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        lent.counting.schedule();
        lent.counted
            .wait_until(|| lent.own.count.load(Relaxed) > 1_000)?;
        Ok(0)
    }
}

#[pin_data]
struct Family<const FAILS: bool> {
    #[pin]
    child: Registration<auxiliary::Adapter<Child>>,
    #[pin]
    parent: Registration<platform::Adapter<Parent<FAILS>>>,
}

impl<const FAILS: bool> InPlaceModule for Family<FAILS> {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            child <- Registration::new(c"child", module),
            parent <- Registration::new(c"parent", module),
        })
    }
}

module! {
    type: Family<false>,
    name: "family",
    authors: ["The devscope authors"],
    description: "A parent and a child",
    license: "GPL",
}

mod failing {
    use kernel::prelude::*;

    module! {
        type: super::Family<true>,
        name: "family",
        authors: ["The devscope authors"],
        description: "A parent whose attach() fails when it has a child",
        license: "GPL",
    }
}

const PARENT: PlatformInfo = PlatformInfo {
    name: "parent",
    compatible: None,
    irqs: 0,
    level: false,
};

fn load(machine: &Machine, module: &'static ModuleInfo) -> kernel::hosted::Loaded {
    machine.load(module).expect("the module loads")
}

/// A program waits in the child's file, on the parent's queue, and the child works, while the parent is
/// unbound; then the child is, and both come back.
pub fn a_child_uses_its_parent_while_that_is_unbound(machine: &Machine) {
    let module = load(machine, &MODULE);
    let parent = machine.add_platform(PARENT);
    let file = machine.open("family").expect("the child's node opens");
    let reader = machine.spawn("reader", move || {
        let answer = file.read(&mut [0]);
        (file, answer)
    });
    parent.unbind().expect("the parent unbinds");
    let (file, answer) = reader.join();
    assert_eq!(answer, Err(ENODEV));
    assert_eq!(file.read(&mut [0]), Err(ENODEV));
    file.close().expect("the file closes");
    assert!(machine.device("family.child.3").is_none());
    parent.bind().expect("the parent binds again");
    let child = machine.device("family.child.3").expect("there is a child");
    assert!(child.is_bound());
    child.unbind().expect("the child unbinds");
    parent.unplug();
    module.unload().expect("the module unloads");
}

/// The child is unbound by somebody else while the parent takes it away.
pub fn a_child_is_unbound_by_two(machine: &Machine) {
    let module = load(machine, &MODULE);
    let parent = machine.add_platform(PARENT);
    let child = machine.device("family.child.3").expect("there is a child");
    let other = machine.spawn("other", move || {
        // Gone already, perhaps.
        if child.is_bound() {
            let _ = child.unbind();
        }
    });
    module.unload().expect("the module unloads");
    other.join();
    parent.unplug();
}

/// `attach()` fails when the child is bound, and at work.
pub fn a_parent_fails_when_it_has_a_child(machine: &Machine) {
    let module = load(machine, &failing::MODULE);
    let parent = machine.add_platform(PARENT);
    assert!(!parent.is_bound());
    assert!(machine.device("family.child.3").is_none());
    assert!(machine.open("family").is_err());
    module.unload().expect("the module unloads");
    parent.unplug();
}
