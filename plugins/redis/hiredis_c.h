// hiredis as C++ can use it: its sds.h, which the other headers include, forgets to say that its
// functions are C's. Include this one instead of hiredis' own.
#pragma once

extern "C" {
#include <hiredis/sds.h>
}

#include <hiredis/hiredis.h>
