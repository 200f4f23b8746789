//! Drivers written against the `kernel` crate alone, as one writes them for Linux 7.3, on the model.

use kernel::hosted::{self, edu::Edu, Machine, PlatformInfo};
use kernel::prelude::*;

/// Counts interrupts, and lets programs read the count.
mod counter {
    use kernel::{
        device::Core,
        fs::{file, File, Kiocb},
        ioctl::_IO,
        iov::{IovIterDest, IovIterSource},
        irq,
        miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
        new_mutex, platform,
        prelude::*,
        sync::{
            atomic::{Atomic, Relaxed},
            Arc, ArcBorrow, Mutex,
        },
    };

    pub const RESET: u32 = _IO(b'c' as u32, 1);

    /// The latest device's count: `open()` is given no device. That is what devscope is for.
    static LATEST: Atomic<u32> = Atomic::new(0);

    struct Count;

    impl irq::Handler for Count {
        fn handle(&self) -> irq::IrqReturn {
            LATEST.fetch_add(1, Relaxed);
            irq::IrqReturn::Handled
        }
    }

    #[pin_data]
    struct Data<'bound> {
        #[pin]
        misc: MiscDeviceRegistration<Reader>,
        #[pin]
        irq: irq::Registration<'bound, Count>,
    }

    #[pin_data]
    struct Reader {
        nonblocking: bool,
        #[pin]
        label: Mutex<KVec<u8>>,
    }

    #[vtable]
    impl MiscDevice for Reader {
        type Ptr = Arc<Reader>;

        fn open(file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<Arc<Reader>> {
            Arc::pin_init(
                pin_init!(Reader {
                    nonblocking: file.flags() & file::flags::O_NONBLOCK != 0,
                    label <- new_mutex!(KVec::new()),
                }),
                GFP_KERNEL,
            )
        }

        fn read_iter(mut kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterDest<'_>) -> Result<usize> {
            let reader = kiocb.file();
            if reader.nonblocking {
                return Err(EAGAIN);
            }
            let mut text = KVec::new();
            text.extend_from_slice(&reader.label.lock(), GFP_KERNEL)?;
            text.extend_from_slice(&LATEST.load(Relaxed).to_le_bytes(), GFP_KERNEL)?;
            iov.simple_read_from_buffer(kiocb.ki_pos_mut(), &text)
        }

        fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterSource<'_>) -> Result<usize> {
            iov.copy_from_iter_vec(&mut kiocb.file().label.lock(), GFP_KERNEL)
        }

        fn ioctl(_: ArcBorrow<'_, Reader>, _: &File, cmd: u32, arg: usize) -> Result<isize> {
            match cmd {
                RESET => LATEST.store(arg as u32, Relaxed),
                _ => return Err(ENOTTY),
            }
            Ok(0)
        }
    }

    struct Counter;

    impl platform::Driver for Counter {
        type IdInfo = ();
        type Data<'bound> = Data<'bound>;

        fn probe<'bound>(
            dev: &'bound platform::Device<Core<'_>>,
            _: Option<&'bound ()>,
        ) -> impl PinInit<Data<'bound>, Error> + 'bound {
            LATEST.store(0, Relaxed);
            dev_info!(dev, "probe of {}\n", dev.as_ref().name());
            try_pin_init!(Data {
                misc <- MiscDeviceRegistration::register(MiscDeviceOptions { name: c"counter" }),
                // SAFETY: Part of the private data, which the driver core drops.
                irq <- unsafe {
                    dev.request_irq_by_index(irq::Flags::TRIGGER_NONE, 0, c"counter", Ok(Count))
                },
            })
        }

        fn unbind<'bound>(_: &'bound platform::Device<Core<'_>>, _: Pin<&Data<'bound>>) {
            pr_info!("counted {}\n", LATEST.load(Relaxed));
        }
    }

    kernel::module_platform_driver! {
        type: Counter,
        name: "counter",
        authors: ["devscope"],
        description: "counts interrupts",
        license: "GPL",
    }
}

/// Asks the device who it is.
mod identify {
    use kernel::{device::Core, io::Io, pci, prelude::*};

    struct Identify;

    struct Data<'bound> {
        bar: pci::Bar<'bound, 0x100>,
    }

    kernel::pci_device_table!(
        TABLE,
        <Identify as pci::Driver>::IdInfo,
        [(pci::DeviceId::from_class(0x00ff00, 0xffff00), 0xed)]
    );

    impl pci::Driver for Identify {
        type IdInfo = u8;
        type Data<'bound> = Data<'bound>;
        const ID_TABLE: pci::IdTable<u8> = &TABLE;

        fn probe<'bound>(
            dev: &'bound pci::Device<Core<'_>>,
            info: Option<&'bound u8>,
        ) -> impl PinInit<Data<'bound>, Error> + 'bound {
            Data::new(dev, info)
        }
    }

    impl<'bound> Data<'bound> {
        fn new(dev: &'bound pci::Device<Core<'_>>, info: Option<&u8>) -> Result<Self> {
            dev.enable_device_mem()?;
            dev.set_master();
            let bar = dev.iomap_region_sized(0, c"identify")?;
            let data = Data { bar };
            let id = data.bar.read32(0);
            data.bar.write32(!id, 4);
            if id & 0xff != u32::from(*info.ok_or(EINVAL)?) || data.bar.try_read32(4)? != id {
                return Err(ENODEV);
            }
            pr_info!("{} {:x} is {id:#x}\n", dev.vendor_id(), dev.device_id());
            Ok(data)
        }
    }

    kernel::module_pci_driver! {
        type: Identify,
        name: "identify",
        license: "GPL",
    }
}

fn platform_device() -> PlatformInfo {
    PlatformInfo {
        name: "counter",
        irqs: 1,
        ..Default::default()
    }
}

fn said(m: &Machine, what: &str) -> bool {
    m.dmesg().iter().any(|line| line.contains(what))
}

#[test]
fn a_program_reads_what_the_interrupt_counted() {
    hosted::explore(500, |m| {
        let counter = m.load(&counter::MODULE).unwrap();
        let slot = m.add_platform(platform_device());
        let file = m.open("counter").unwrap();
        slot.irq(0).pulse();
        m.settle();
        slot.irq(0).pulse();
        m.settle();
        assert_eq!(file.write(b"n="), Ok(2));
        let mut text = [0; 16];
        assert_eq!(file.read(&mut text), Ok(6));
        assert_eq!(&text[..6], b"n=\x02\0\0\0");
        assert_eq!(file.read(&mut text), Ok(0));
        assert_eq!(file.ioctl(counter::RESET, 7), Ok(0));
        assert_eq!(file.ioctl(0, 0), Err(ENOTTY));
        assert_eq!(counter.unload(), Err(EAGAIN));
        file.close().unwrap();
        slot.unbind().unwrap();
        assert!(
            said(m, "counter counter: probe of counter"),
            "{:?}",
            m.dmesg()
        );
        assert!(said(m, "counter: counted 7"), "{:?}", m.dmesg());
        counter.unload().unwrap();
    });
}

#[test]
fn an_interrupt_may_come_at_any_point_of_unbinding() {
    hosted::explore(500, |m| {
        let counter = m.load(&counter::MODULE).unwrap();
        let slot = m.add_platform(platform_device());
        let line = slot.irq(0);
        hosted::hardware("line", move || (0..3).for_each(|_| line.pulse()));
        slot.unbind().unwrap();
        slot.bind().unwrap();
        counter.unload().unwrap();
    });
}

#[test]
fn a_bar_is_read_and_written() {
    hosted::explore(20, |m| {
        let identify = m.load(&identify::MODULE).unwrap();
        let slot = m.plug_pci(Edu::new());
        assert!(slot.is_bound());
        assert!(
            said(m, "identify: 0x1234 11e8 is 0x10000ed"),
            "{:?}",
            m.dmesg()
        );
        identify.unload().unwrap();
    });
}

#[test]
fn an_allocation_of_probe_may_fail() {
    // The private data is all that the driver allocates; what a misc device allocates for itself,
    // the model never refuses.
    for (n, bound) in [(1, false), (2, true)] {
        hosted::explore(5, move |m| {
            let slot = m.add_platform(platform_device());
            m.fail_allocation(n);
            let counter = m.load(&counter::MODULE).unwrap();
            assert_eq!(slot.is_bound(), bound);
            counter.unload().unwrap();
        });
    }
}
