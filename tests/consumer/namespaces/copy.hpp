// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

bool copy_in_namespace();
bool copy_of_version();
