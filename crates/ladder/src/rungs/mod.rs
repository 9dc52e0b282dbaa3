//! The rungs, one module a version.

use crate::rung::Rung;

mod insert;
mod lxc;
mod shapes;
mod tar;
mod v1_01;
mod v1_02;
mod v1_03;
mod v1_04;
mod v1_05;
mod v1_06;
mod v1_07;
mod v1_08;
mod v1_09;
mod v1_10;
mod v1_11;
mod v1_12;
mod v1_13;
mod v1_14;
mod v1_15;
mod v1_15_build;
mod v1_15_create;
mod v1_15_inspect;
mod v1_15_list;
mod v1_15_registry;
mod v1_15_start;
mod v1_15_stream;
mod v1_16;
mod v1_17;
mod v1_18;
mod v1_19;
mod v1_20;
mod v1_21;
mod v1_22;
mod v1_23;
mod v1_24;
mod v1_25;
mod v1_26;
mod v1_27;
mod v1_28;
mod v1_29;
mod v1_30;
mod v1_31;
mod v1_32;
mod v1_33;
mod v1_34;
mod v1_35;
mod v1_36;
mod v1_37;
mod v1_38;
mod v1_39;
mod v1_40;
mod v1_41;
mod v1_42;
mod v1_43;
mod v1_44;
mod v1_45;
mod v1_46;
mod v1_47;
mod v1_48;
mod v1_49;
mod v1_50;
mod v1_51;

/// Every version that changed something, newest first.
pub static RUNGS: &[&Rung] = &[
    &v1_51::RUNG,
    &v1_50::RUNG,
    &v1_49::RUNG,
    &v1_48::RUNG,
    &v1_47::RUNG,
    &v1_46::RUNG,
    &v1_45::RUNG,
    &v1_44::RUNG,
    &v1_43::RUNG,
    &v1_42::RUNG,
    &v1_41::RUNG,
    &v1_40::RUNG,
    &v1_39::RUNG,
    &v1_38::RUNG,
    &v1_37::RUNG,
    &v1_36::RUNG,
    &v1_35::RUNG,
    &v1_34::RUNG,
    &v1_33::RUNG,
    &v1_32::RUNG,
    &v1_31::RUNG,
    &v1_30::RUNG,
    &v1_29::RUNG,
    &v1_28::RUNG,
    &v1_27::RUNG,
    &v1_26::RUNG,
    &v1_25::RUNG,
    &v1_24::RUNG,
    &v1_23::RUNG,
    &v1_22::RUNG,
    &v1_21::RUNG,
    &v1_20::RUNG,
    &v1_19::RUNG,
    &v1_18::RUNG,
    &v1_17::RUNG,
    &v1_16::RUNG,
    &v1_15::RUNG,
    &v1_14::RUNG,
    &v1_13::RUNG,
    &v1_12::RUNG,
    &v1_11::RUNG,
    &v1_10::RUNG,
    &v1_09::RUNG,
    &v1_08::RUNG,
    &v1_07::RUNG,
    &v1_06::RUNG,
    &v1_05::RUNG,
    &v1_04::RUNG,
    &v1_03::RUNG,
    &v1_02::RUNG,
    &v1_01::RUNG,
];
