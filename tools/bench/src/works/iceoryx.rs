//! iceoryx2's publisher and subscriber. It has no sleeping receive, so the getting side looks again and again, and
//! yields its CPU now and then. Nothing is dropped: a publisher waits while the subscriber's buffer is full. The
//! message is written into shared memory by the putting side, and read there: no copy out.

use super::measure::text;
use super::ways::{Get, MESSAGE, Put, Way, look_at};
use iceoryx2::node::Node;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};

type Service = PortFactory<ipc::Service, [u8], ()>;

/// The putting side before it is opened, and what the getting side opens too.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Topic {
    name: String,
    bytes: usize,
}

/// Looks without a message, before a consumer lets others have its CPU.
const LOOKS: u32 = 1000;

impl Topic {
    /// One with a name that was not used yet.
    pub(super) fn new(bytes: usize) -> Topic {
        static MADE: AtomicU32 = AtomicU32::new(0);
        // ORDERING: Relaxed: only the number matters.
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Topic { name: format!("mp-bench/{}/{number}", std::process::id()), bytes }
    }

    /// As many messages as crossbeam's channel holds, but at most 16 MiB of them.
    fn service(&self) -> Result<(Node<ipc::Service>, Service), String> {
        let node = NodeBuilder::new()
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>()
            .map_err(text)?;
        let name = self.name.as_str().try_into().map_err(text)?;
        let service = node.service_builder(&name).publish_subscribe::<[u8]>();
        let service = service
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(((16 << 20) / self.bytes).min(1024))
            .open_or_create();
        Ok((node, service.map_err(text)?))
    }

    pub(super) fn subscribe(&self) -> Result<Getting, String> {
        let (node, service) = self.service()?;
        let subscriber = service.subscriber_builder().create().map_err(text)?;
        Ok(Getting { subscriber, _service: service, _node: node })
    }

    fn publish(&self) -> Result<Putting, String> {
        let (node, service) = self.service()?;
        let publisher = service.publisher_builder().initial_max_slice_len(self.bytes);
        let publisher = publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
        let publisher = publisher.create().map_err(text)?;
        Ok(Putting { publisher, _service: service, _node: node })
    }
}

impl Way for Topic {
    type End = Putting;

    fn open(self) -> Putting {
        self.publish().expect("a service in its limits")
    }
}

pub(super) struct Putting {
    publisher: Publisher<ipc::Service, [u8], ()>,
    _service: Service,
    _node: Node<ipc::Service>,
}

impl Put for Putting {
    fn put(&mut self, bytes: usize) {
        let sample = self.publisher.loan_slice_uninit(bytes).expect("as many as it was made for");
        let receivers = sample.write_from_slice(&MESSAGE[..bytes]).send().expect("the subscriber lives");
        assert_eq!(receivers, 1);
    }
}

pub(super) struct Getting {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    _service: Service,
    _node: Node<ipc::Service>,
}

impl Get for Getting {
    fn get(&mut self, bytes: usize) {
        for look in 1_u32.. {
            if let Some(sample) = self.subscriber.receive().expect("the publisher's memory can be mapped") {
                assert_eq!(sample.payload().len(), bytes);
                look_at(sample.payload());
                return;
            }
            if look % LOOKS == 0 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}
