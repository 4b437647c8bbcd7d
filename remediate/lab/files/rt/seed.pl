#!/usr/bin/perl
# Fills a freshly initialised database with initialdata.pl, then writes one token for each user into the
# current folder. Usage: seed.pl INITIALDATA. Fails at the first thing that RT would only have logged.
use strict;
use warnings;
use lib '/usr/share/request-tracker5/lib';
use RT -init;

umask 0077;
my $datafile = shift or die "usage: seed.pl INITIALDATA\n";

# InsertData goes on after an error that it has logged, so an error in the log counts as a failure.
my @problems;
RT->Logger->add_callback(
    sub {
        my %entry = @_;
        push @problems, $entry{message} if $entry{level} =~ /^(?:error|crit|alert|emerg)/;
        return $entry{message};
    }
);
my ($ok, $message) = RT->DatabaseHandle->InsertData($datafile, undef, disconnect_after => 0);
die "initial data: $message\n" unless $ok;

# A public reply reopens a closed ticket by this stock scrip. A change that was resolved, rejected or rolled
# back stays so, and a second guard next to the lifecycle keeps replies from approving.
my $opener = RT::Scrip->new(RT->SystemUser);
$opener->LoadByCols(Description => 'On Correspond Open Inactive Tickets');
die "the stock scrip that reopens tickets is gone\n" unless $opener->id;
($ok, $message) = $opener->RemoveFromObject(0);
die "scrip: $message\n" unless $ok;
($ok, $message) = $opener->AddToObject(ObjectId => queue('General')->id);
die "scrip: $message\n" unless $ok;

write_token($_) for qw(remediate alice carol dan customer);
die join("\n", @problems) . "\n" if @problems;

sub queue {
    my ($name) = @_;
    my $queue = RT::Queue->new(RT->SystemUser);
    $queue->Load($name);
    die "no queue $name\n" unless $queue->id;
    return $queue;
}

sub write_token {
    my ($name) = @_;
    my $user = RT::User->new(RT->SystemUser);
    $user->Load($name);
    die "no user $name\n" unless $user->id;
    my ($id, $reason, $secret)
        = RT::AuthToken->new(RT->SystemUser)->Create(Owner => $user->id, Description => 'lab');
    die "token for $name: $reason\n" unless $id;
    open my $file, '>', "$name.token" or die "$name.token: $!\n";
    print {$file} "$secret\n";
    close $file or die "$name.token: $!\n";
    return;
}
