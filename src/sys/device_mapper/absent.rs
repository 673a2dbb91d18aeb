//! What stands for device-mapper in a build without it.

use super::{facilities, sysfs};
use crate::port::block::DeviceNumber;
use crate::port::device_mapper::{Control, DeviceMapper, Facilities, Line, Listed, NewDevice};
use crate::port::{HostError, Watcher};

/// Device-mapper, which this build cannot ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelDeviceMapper;

impl KernelDeviceMapper {
    fn refuse<T>(self) -> Result<T, HostError> {
        let lack = self.facilities().control_lack();
        Err(HostError::Refused(
            lack.map(|lack| lack.to_string()).unwrap_or_default(),
        ))
    }
}

impl DeviceMapper for KernelDeviceMapper {
    fn list(&self) -> Result<Vec<Listed>, HostError> {
        sysfs::list()
    }

    fn table(&self, _name: &str) -> Result<Vec<Line>, HostError> {
        self.refuse()
    }

    fn status(&self, _name: &str) -> Result<Vec<Line>, HostError> {
        self.refuse()
    }

    fn dependencies(&self, _name: &str) -> Result<Vec<DeviceNumber>, HostError> {
        self.refuse()
    }

    fn message(&self, _name: &str, _message: &str) -> Result<Option<String>, HostError> {
        self.refuse()
    }

    fn create(&self, _device: &NewDevice) -> Result<DeviceNumber, HostError> {
        self.refuse()
    }

    fn suspend(&self, _name: &str) -> Result<(), HostError> {
        self.refuse()
    }

    fn resume(&self, _name: &str) -> Result<(), HostError> {
        self.refuse()
    }

    fn rename(&self, _name: &str, _to: &str) -> Result<(), HostError> {
        self.refuse()
    }

    fn remove(&self, _name: &str) -> Result<(), HostError> {
        self.refuse()
    }

    fn watcher(&self) -> Result<Box<dyn Watcher>, HostError> {
        self.refuse()
    }

    fn facilities(&self) -> Facilities {
        facilities::look(Control::NotBuilt, None)
    }
}
