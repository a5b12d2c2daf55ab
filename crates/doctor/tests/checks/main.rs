//! The doctor reports every mistake that old engines made, and finds no fault in sound models.

mod configuration;
mod damage;
mod engine;
mod formats;
mod healthy;
mod masters;
mod model;
mod wrong_order;
